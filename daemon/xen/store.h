/* SPDX-License-Identifier: Apache-2.0 */
/* Xenstore, as the adapter uses it: paths made by formats, values that are numbers. */
#ifndef PARADICE_XEN_STORE_H
#define PARADICE_XEN_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

/* Connects; NULL with the reason logged. */
struct xs_handle *store_open(void);

/* The text at a path, to be freed, or NULL. */
char *store_read(struct xs_handle *xs, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A number at a path: 0, -ENOENT without one, -EINVAL when it is none. */
int store_read_u32(struct xs_handle *xs, uint32_t *out, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes a text; false with errno. */
bool store_write(struct xs_handle *xs, xs_transaction_t t, const char *value, const char *format,
		 ...) __attribute__((format(printf, 4, 5)));
bool store_write_u32(struct xs_handle *xs, xs_transaction_t t, uint32_t value, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

#endif
