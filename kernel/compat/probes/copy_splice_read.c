// SPDX-License-Identifier: GPL-2.0-only
/* copy_splice_read(): Linux 6.5, "splice: Rename direct_splice_read() to copy_splice_read()" */
#include <linux/fs.h>

const struct file_operations probe = { .splice_read = copy_splice_read };
