/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that sees when files become ready or raise SIGIO, and tells the guest. */
#ifndef PARADICE_WATCH_H
#define PARADICE_WATCH_H

#include "worker_private.h"

struct file;

/* Blocks the signals it uses: before any other thread is made. */
struct watch *watch_create(struct worker *w);

/**
 * watch_arm() - has one PD_EV_POLL sent when @f becomes ready
 * @events: EPOLL* bits
 * @edge: not one, but one for every edge until @f is closed
 * Return: 0, or a negative errno (-EPERM: it is always ready).
 */
int watch_arm(struct watch *wa, struct file *f, uint32_t events, bool edge);
/* Turns SIGIO of @f on or off. Returns 0 or the driver's errno. */
int watch_async(struct watch *wa, struct file *f, bool on);
/* @f is about to be closed. */
void watch_forget(struct watch *wa, struct file *f);
/* The event queue's kick descriptor has changed. */
void watch_event_kick(struct watch *wa, int old, int kick);

#endif
