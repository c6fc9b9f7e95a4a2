// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"

#define PATH_BYTES 256

struct xs_handle *store_open(void)
{
	struct xs_handle *xs = xs_open(0);

	if (!xs)
		log_error(
			"xenstore cannot be reached: %m (is this domain one of Xen's, and is xenstored running?)");
	return xs;
}

/* A path of the caller's format in path. */
#define MAKE_PATH()                                           \
	char path[PATH_BYTES];                                \
	do {                                                  \
		va_list args_;                                \
		va_start(args_, format);                      \
		vsnprintf(path, sizeof(path), format, args_); \
		va_end(args_);                                \
	} while (0)

char *store_read(struct xs_handle *xs, const char *format, ...)
{
	unsigned int len;

	MAKE_PATH();
	return xs_read(xs, XBT_NULL, path, &len);
}

int store_read_u32(struct xs_handle *xs, uint32_t *out, const char *format, ...)
{
	unsigned long v;
	unsigned int len;
	char *text;
	char *end;
	int err = 0;

	MAKE_PATH();
	text = xs_read(xs, XBT_NULL, path, &len);
	if (!text)
		return -ENOENT;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (end == text || *end || errno || v > UINT32_MAX || *text == '-')
		err = -EINVAL;
	else
		*out = (uint32_t)v;
	free(text);
	return err;
}

bool store_write(struct xs_handle *xs, xs_transaction_t t, const char *value, const char *format,
		 ...)
{
	MAKE_PATH();
	return xs_write(xs, t, path, value, (unsigned int)strlen(value));
}

bool store_write_u32(struct xs_handle *xs, xs_transaction_t t, uint32_t value, const char *format,
		     ...)
{
	char text[16];

	MAKE_PATH();
	snprintf(text, sizeof(text), "%u", value);
	return xs_write(xs, t, path, text, (unsigned int)strlen(text));
}
