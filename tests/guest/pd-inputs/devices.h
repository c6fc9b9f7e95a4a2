/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PD_INPUTS_DEVICES_H
#define PD_INPUTS_DEVICES_H

/* Ends the program with what failed and why. */
void die(const char *what) __attribute__((noreturn));

/* Makes input device number @which through the uinput node @path; its descriptor. */
int device_make(const char *path, int which);
/* Answers what waits on a device's descriptor. */
void device_serve(int fd);

/* Makes the HID device through the uhid node @path; its descriptor. */
int hid_make(const char *path);
/* Answers one request of the HID core. */
void hid_serve(int fd);

#endif
