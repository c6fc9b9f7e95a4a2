// SPDX-License-Identifier: GPL-2.0-only
/* iter_iov_addr(), iter_iov_len(): Linux 6.4, "iov_iter: add iter_iov_addr() and iter_iov_len() helpers" */
#include <linux/uio.h>

size_t probe(const struct iov_iter *i);
size_t probe(const struct iov_iter *i)
{
	return (unsigned long)iter_iov_addr(i) + iter_iov_len(i);
}
