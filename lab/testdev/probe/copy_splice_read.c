// SPDX-License-Identifier: GPL-2.0-only
/* copy_splice_read(): Linux 6.5, 69df79a45111; generic_file_splice_read() before. */
#include <linux/fs.h>

const struct file_operations probe = {
	.splice_read = copy_splice_read,
};
