// SPDX-License-Identifier: Apache-2.0
/* pd-v4l2: capture by mmap, by userptr and by read(). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "v4l2.h"

#define CAPTURE V4L2_BUF_TYPE_VIDEO_CAPTURE

static int call(const struct capture *c, unsigned long cmd, void *arg, const char *name)
{
	int ret;

	do {
		ret = ioctl(c->fd, cmd, arg);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		die("%s: %s: %s", c->method, name, strerror(errno));
	return ret;
}

#define CALL(c, cmd, arg) call(c, cmd, arg, #cmd)

void capture_open(struct capture *c, const char *device, unsigned int fps)
{
	struct v4l2_streamparm parm = { .type = CAPTURE };
	struct v4l2_capability cap = { 0 };
	struct v4l2_pix_format *pix = &c->format.fmt.pix;

	c->fd = open(device, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		die("%s: %s", device, strerror(errno));
	CALL(c, VIDIOC_QUERYCAP, &cap);
	if (strcmp((char *)cap.driver, "vivid"))
		die("%s: the driver is %s; the frames are known for vivid only", device,
		    cap.driver);
	c->format.type = CAPTURE;
	CALL(c, VIDIOC_G_FMT, &c->format);
	pix->width = 640;
	pix->height = 360;
	pix->pixelformat = V4L2_PIX_FMT_YUYV;
	pix->field = V4L2_FIELD_NONE;
	CALL(c, VIDIOC_S_FMT, &c->format);
	if (pix->pixelformat != V4L2_PIX_FMT_YUYV || pix->height < 256 || pix->width < 320)
		die("%s: the driver wants another format: %ux%u, %#x", device, pix->width,
		    pix->height, pix->pixelformat);
	c->size = pix->sizeimage;
	if (fps) {
		parm.parm.capture.timeperframe.numerator = 1;
		parm.parm.capture.timeperframe.denominator = fps;
		CALL(c, VIDIOC_S_PARM, &parm);
	}
	c->samples = calloc(c->want, sizeof(*c->samples));
	if (!c->samples)
		die("out of memory");
}

static void wait_ready(const struct capture *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int ret = poll(&p, 1, 20000);

	if (ret != 1 || !(p.revents & POLLIN) || p.revents & POLLERR)
		die("%s, frame %u: poll gives %d, %#x", c->method, c->frames, ret, p.revents);
}

/* Check what the driver says of a buffer, then the picture in it. */
static void check_buffer(struct capture *c, const struct v4l2_buffer *b, const uint8_t *data)
{
	uint64_t now = b->timestamp.tv_sec * 1000000ULL + b->timestamp.tv_usec;

	if (b->flags & V4L2_BUF_FLAG_ERROR)
		die("%s, frame %u: marked as bad", c->method, c->frames);
	if (c->frames) {
		uint32_t last = c->samples[c->frames - 1].sequence;

		if (b->sequence < last)
			die("%s, frame %u: sequence %u after %u", c->method, c->frames, b->sequence,
			    last);
		if (b->sequence == last)
			c->doubled++;
		else
			c->dropped += b->sequence - last - 1;
		if (now <= c->last_time)
			die("%s, frame %u: its time does not grow", c->method, c->frames);
	}
	c->last_time = now;
	frame_check(c, data, b->bytesused, &b->sequence);
}

static unsigned int request(struct capture *c, unsigned int memory, unsigned int count)
{
	struct v4l2_requestbuffers r = { .count = count, .type = CAPTURE, .memory = memory };

	CALL(c, VIDIOC_REQBUFS, &r);
	if (count && (r.count < 2 || r.count > MAX_BUFFERS))
		die("%s: %u buffers", c->method, r.count);
	return r.count;
}

static void stream(struct capture *c, bool on)
{
	int type = CAPTURE;

	if (on)
		CALL(c, VIDIOC_STREAMON, &type);
	else
		CALL(c, VIDIOC_STREAMOFF, &type);
}

static void queue_mmap(struct capture *c, uint8_t *data, unsigned int index)
{
	struct v4l2_buffer b = { .type = CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = index };

	/* Ours first: a frame that shows it was not written, or not where we look. */
	frame_poison(data, c->size);
	CALL(c, VIDIOC_QBUF, &b);
}

void capture_mmap(struct capture *c, unsigned int buffers)
{
	unsigned int n = request(c, V4L2_MEMORY_MMAP, buffers), i;
	uint8_t *data[MAX_BUFFERS];
	uint32_t length[MAX_BUFFERS];

	for (i = 0; i < n; i++) {
		struct v4l2_buffer b = { .type = CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = i };

		CALL(c, VIDIOC_QUERYBUF, &b);
		length[i] = b.length;
		data[i] =
			mmap(NULL, b.length, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, b.m.offset);
		if (data[i] == MAP_FAILED)
			die("%s: mmap of buffer %u: %s", c->method, i, strerror(errno));
		queue_mmap(c, data[i], i);
	}
	stream(c, true);
	while (c->frames < c->want) {
		struct v4l2_buffer b = { .type = CAPTURE, .memory = V4L2_MEMORY_MMAP };

		wait_ready(c);
		CALL(c, VIDIOC_DQBUF, &b);
		if (b.index >= n)
			die("%s, frame %u: buffer %u", c->method, c->frames, b.index);
		check_buffer(c, &b, data[b.index]);
		queue_mmap(c, data[b.index], b.index);
	}
	stream(c, false);
	for (i = 0; i < n; i++)
		munmap(data[i], length[i]);
	request(c, V4L2_MEMORY_MMAP, 0);
	close(c->fd);
}

static void *area_new(void *at, size_t size)
{
	void *p = mmap(at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

	if (p == MAP_FAILED)
		die("out of memory");
	return p;
}

static void queue_userptr(struct capture *c, unsigned int index, uint8_t *data, size_t size)
{
	struct v4l2_buffer b = {
		.type = CAPTURE,
		.memory = V4L2_MEMORY_USERPTR,
		.index = index,
		.m.userptr = (unsigned long)data,
		.length = size,
	};

	frame_poison(data, c->size);
	CALL(c, VIDIOC_QBUF, &b);
}

/*
 * Twice as many areas as buffers, so that a buffer gets another area each time,
 * and every seventh time an area of new pages at the address of the old ones.
 */
void capture_userptr(struct capture *c, unsigned int buffers)
{
	unsigned int n = request(c, V4L2_MEMORY_USERPTR, buffers), i;
	size_t size = (c->size + 4095) & ~4095UL;
	uint8_t *areas[2 * MAX_BUFFERS], *spare;

	for (i = 0; i < 2 * n; i++)
		areas[i] = area_new(NULL, size);
	for (i = 0; i < n; i++)
		queue_userptr(c, i, areas[i], size);
	stream(c, true);
	while (c->frames < c->want) {
		struct v4l2_buffer b = { .type = CAPTURE, .memory = V4L2_MEMORY_USERPTR };

		wait_ready(c);
		CALL(c, VIDIOC_DQBUF, &b);
		for (i = 0; i < n; i++)
			if ((unsigned long)areas[i] == b.m.userptr)
				break;
		if (i == n || b.index >= n)
			die("%s, frame %u: buffer %u at an unknown address", c->method, c->frames,
			    b.index);
		check_buffer(c, &b, areas[i]);
		spare = areas[n + c->frames % n];
		areas[n + c->frames % n] = areas[i];
		areas[i] = spare;
		if (c->frames % 7 == 0)
			area_new(areas[i], size);
		queue_userptr(c, b.index, areas[i], size);
	}
	stream(c, false);
	request(c, V4L2_MEMORY_USERPTR, 0);
	close(c->fd);
	for (i = 0; i < 2 * n; i++)
		munmap(areas[i], size);
}

void capture_read(struct capture *c)
{
	uint8_t *data = malloc(c->size + 100);
	ssize_t n;

	if (!data)
		die("out of memory");
	while (c->frames < c->want) {
		/* At another address each time, not always aligned. */
		uint8_t *at = data + c->frames % 3 * 4;

		frame_poison(data, c->size + 100);
		n = read(c->fd, at, c->size);
		if (n < 0)
			die("%s, frame %u: read: %s", c->method, c->frames, strerror(errno));
		frame_check(c, at, n, NULL);
		if (at[c->size] != POISON)
			die("%s, frame %u: more was written than read", c->method, c->frames - 1);
	}
	close(c->fd);
	free(data);
}
