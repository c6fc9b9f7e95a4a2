/* SPDX-License-Identifier: Apache-2.0 */
/* The lab's input devices: what the program that makes them and the one that uses them agree on. */
#ifndef PD_INPUTS_H
#define PD_INPUTS_H

/*
 * A device plays a script when EV_MSC/MSC_PULSELED with the script's number is written to its
 * event node. From PLAY_SEQUENCE on it is a number of packets, one a millisecond, each with
 * EV_MSC/MSC_SCAN and its position, from 1 on.
 */
#define PLAY_KEYS 1
#define PLAY_MOTION 2
#define PLAY_TOUCH 3
#define PLAY_BUTTONS 4
#define PLAY_SEQUENCE 100

/* The hidraw device's reports: no numbers, this many bytes. */
#define HID_REPORT 16

#endif
