/* SPDX-License-Identifier: Apache-2.0 */
/* pd-v4l2: capture frames from vivid and verify the content of each. */
#ifndef PD_V4L2_H
#define PD_V4L2_H

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POISON 0xa7
#define MAX_BUFFERS 16
/* The first line of text: " HH:MM:SS:mmm NUMBER", then the picture again. */
#define TEXT_CELLS 22

/* What is kept of a frame after its buffer went back. */
struct sample {
	uint32_t sequence; /* as the driver told; with read() it does not */
	uint32_t timed; /* whether it did */
	uint64_t cells[TEXT_CELLS][2]; /* the first line of text, 128 pixels each */
};

struct capture {
	const char *method;
	int fd;
	struct v4l2_format format;
	uint32_t size; /* bytes of a frame */
	struct sample *samples;
	unsigned int frames, want;
	uint64_t picture; /* hash of the part without text, of the first frame */
	uint64_t last_time;
	unsigned int dropped, doubled; /* numbers that the driver left out, or gave twice */
};

/* Print what is wrong and end with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* frame.c */
void frame_poison(uint8_t *data, uint32_t size);
/* Verify a frame of YUYV pixels and keep what its text says. */
void frame_check(struct capture *c, const uint8_t *data, uint32_t bytes, const uint32_t *sequence);
/* Learn the digits from samples whose number is known; one that is not known yet, or -1. */
int digits_learn(const struct sample *samples, unsigned int count);
/* The picture's own number of every sample is the driver's; its time and number grow. */
void digits_check(const struct capture *c);

/* stream.c */
void capture_open(struct capture *c, const char *device, unsigned int fps);
void capture_mmap(struct capture *c, unsigned int buffers);
void capture_userptr(struct capture *c, unsigned int buffers);
void capture_read(struct capture *c);

#endif
