// SPDX-License-Identifier: Apache-2.0
/*
 * What the thread sanitizer asks a program when it starts; a worker has no environment to be told by. No race is
 * left out here. What is the guest's memory is marked where it is touched, in daemon/virtqueue.c; and by a
 * file's name nothing could be left out, since a worker has no file system to look names up in.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	/* more locks at once than its detector of deadlocks can hold: one for each queue there may be */
	return "detect_deadlocks=0:die_after_fork=0";
}
