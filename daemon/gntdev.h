/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's <xen/gntdev.h>, which names types that it does not define. */
#ifndef PARADICE_GNTDEV_H
#define PARADICE_GNTDEV_H

#include <stdint.h>

typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;

#include <xen/gntdev.h>

#endif
