// SPDX-License-Identifier: GPL-2.0-only
/* iter_iov(): Linux 6.4, "iov_iter: add iter_iov() helper" */
#include <linux/uio.h>

const struct iovec *probe(const struct iov_iter *i);
const struct iovec *probe(const struct iov_iter *i)
{
	return iter_iov(i);
}
