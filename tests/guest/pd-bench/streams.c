// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: frames of a camera, packets through a network interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/videodev2.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define BUFFERS 4
#define ETHERTYPE_EXPERIMENT 0x88b5

/* frames:PATH, 640x360, by mmap: the next one taken and its buffer given back. Lost: what the driver skipped */
static void frames_set_up(struct bench *b)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = { .width = 640, .height = 360, .pixelformat = V4L2_PIX_FMT_YUYV },
	};
	struct v4l2_requestbuffers request = { .count = BUFFERS,
					       .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
					       .memory = V4L2_MEMORY_MMAP };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	bench_open(b, O_RDWR);
	if (ioctl(b->fd, VIDIOC_S_FMT, &format) || ioctl(b->fd, VIDIOC_REQBUFS, &request))
		fail("preparing", b->args[0]);
	for (unsigned int i = 0; i < request.count; i++) {
		struct v4l2_buffer buffer = { .index = i,
					      .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
					      .memory = V4L2_MEMORY_MMAP };

		if (ioctl(b->fd, VIDIOC_QUERYBUF, &buffer) ||
		    mmap(NULL, buffer.length, PROT_READ, MAP_SHARED | MAP_POPULATE, b->fd,
			 buffer.m.offset) == MAP_FAILED ||
		    ioctl(b->fd, VIDIOC_QBUF, &buffer))
			fail("the buffers of", b->args[0]);
	}
	if (ioctl(b->fd, VIDIOC_STREAMON, &type))
		fail("starting", b->args[0]);
}

static void frames_once(struct bench *b)
{
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
				      .memory = V4L2_MEMORY_MMAP };

	if (ioctl(b->fd, VIDIOC_DQBUF, &buffer))
		fail("a frame of", b->args[0]);
	b->late = (int64_t)now_ns() - buffer.timestamp.tv_sec * INT64_C(1000000000) -
		  buffer.timestamp.tv_usec * INT64_C(1000);
	if (b->number && buffer.sequence > b->number)
		b->lost += buffer.sequence - b->number;
	b->number = buffer.sequence + 1;
	if (ioctl(b->fd, VIDIOC_QBUF, &buffer))
		fail("a buffer of", b->args[0]);
}

/* a frame of Ethernet that nobody answers */
static void packet(struct bench *b, const char *size)
{
	unsigned char *p;

	b->number = strtoul(size, NULL, 0);
	p = b->buf = bench_pages(b->number);
	memset(p, 0xff, 6);
	memcpy(p + 6, "\x02paradi", 6);
	p[12] = ETHERTYPE_EXPERIMENT >> 8;
	p[13] = ETHERTYPE_EXPERIMENT & 0xff;
}

/* tap:PATH:INTERFACE:SIZE, packets written to an interface that there is already */
static void tap_set_up(struct bench *b)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	bench_open(b, O_RDWR);
	strncpy(request.ifr_name, b->args[1], IFNAMSIZ - 1);
	if (ioctl(b->fd, TUNSETIFF, &request))
		fail("taking", b->args[1]);
	packet(b, b->args[2]);
}

static void tap_once(struct bench *b)
{
	if (write(b->fd, b->buf, b->number) != (ssize_t)b->number)
		fail("a packet through", b->args[1]);
}

/* packet:INTERFACE:SIZE, packets sent by a network card */
static void packet_set_up(struct bench *b)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(b->args[0]) };

	b->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (b->fd < 0 || !to.sll_ifindex || bind(b->fd, (struct sockaddr *)&to, sizeof(to)))
		fail("a socket on", b->args[0]);
	packet(b, b->args[1]);
}

static void packet_once(struct bench *b)
{
	/* more than the card's queue holds wait for room */
	while (send(b->fd, b->buf, b->number, 0) != (ssize_t)b->number)
		if (errno != ENOBUFS)
			fail("a packet through", b->args[0]);
}

const struct kind stream_kinds[] = {
	{ "frames", 1, frames_set_up, frames_once },
	{ "tap", 3, tap_set_up, tap_once },
	{ "packet", 2, packet_set_up, packet_once },
	{ NULL, 0, NULL, NULL },
};
