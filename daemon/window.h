/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows: parts of device files that the VMM maps into the shared memory region of the VM.
 *
 * Requests go over the back-end channel and wait for the VMM's reply. The thread that serves the
 * main socket must never wait here: the VMM may be waiting for it in turn.
 */
#ifndef PARADICE_WINDOW_H
#define PARADICE_WINDOW_H

#include "worker_private.h"

struct map;

struct windows *windows_create(struct worker *w);

/**
 * windows_setup() - what the VMM can do; by the main thread, before the rings start
 * @fd: the back-end channel, taken over, or -1
 * @shmem: it has shared memory regions
 * @settle: a harmless further request may follow each mapping (see window.c)
 */
void windows_setup(struct windows *ws, int fd, bool shmem, bool settle);
/* The rings run (or do not); only then is the VMM ready for mappings. */
void windows_running(struct windows *ws, bool running);
/* The VMM is gone: nobody waits for its replies any more. */
void windows_hangup(struct windows *ws);

/* True when windows can be made; else says why, once. */
bool windows_possible(struct windows *ws);

/**
 * windows_map() - shows part of a mapping
 * Return: 0; -EINVAL for wrong or overlapping ranges; -ENOSPC beyond PD_MAX_WINDOWS; -EIO when the
 * VMM refuses; -ENODEV without shared memory regions.
 */
int windows_map(struct windows *ws, struct map *m, const struct pd_req_window *req);
/* Ends exactly what one windows_map() made; -EINVAL when there is none such. */
int windows_unmap(struct windows *ws, const struct pd_req_window *req);
/* After the death of a worker: those that it made are still there. */
void windows_recover(struct windows *ws);
/* Forgets all; asks the VMM to, where it does not by itself when a device is reset. */
void windows_drop_all(struct windows *ws);
/* True while a window of the mapping with handle @map is there. */
bool windows_has(struct windows *ws, uint64_t map);
unsigned int windows_count(struct windows *ws);
/*
 * QEMU lets go of the memory some time after its answer, so that a driver may still say "busy" for
 * it. True shortly after a window has ended.
 */
bool windows_lingering(struct windows *ws);
/* The same for one that ended at @ended, by now_ms(); 0: none did. */
bool windows_lingers(uint64_t ended);

#endif
