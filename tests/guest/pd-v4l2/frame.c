// SPDX-License-Identifier: Apache-2.0
/*
 * pd-v4l2: what a frame of vivid's must look like.
 *
 * Colour bars, and a text over the upper half whose first line ends in the frame's
 * number. The number is read off the picture: the shapes of the digits are learned
 * from the frames themselves, by the numbers that the driver tells. A picture that
 * is not the one the driver means shows another number; one that lags by a fixed
 * count gives itself away where a digit carries.
 */
#include <stdio.h>
#include <string.h>

#include "v4l2.h"

/* The text begins at the 16th pixel of the 16th row, in cells of 8 x 16. */
#define TEXT_X 16
#define TEXT_Y 16
#define NUMBER_CELL 14
#define BARS 8

static uint64_t digits[10][2];
static bool known[10];

void frame_poison(uint8_t *data, uint32_t size)
{
	memset(data, POISON, size);
}

static uint64_t hash(const uint8_t *data, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ULL, word;

	for (; len >= 8; len -= 8, data += 8) {
		memcpy(&word, data, 8);
		h = (h ^ word) * 0x100000001b3ULL;
		h ^= h >> 31;
	}
	return h;
}

/* Eight different colours, each over an eighth of the width and every row below. */
static void check_bars(const struct capture *c, const uint8_t *data)
{
	uint32_t stride = c->format.fmt.pix.bytesperline, rows = c->format.fmt.pix.height;
	uint32_t width = c->format.fmt.pix.width, y, colour[BARS];
	int i, k;

	for (i = 0; i < BARS; i++) {
		uint32_t x = (i * width + width / 2) / BARS & ~1u;

		memcpy(&colour[i], data + rows / 2 * stride + x * 2, 4);
		for (k = 0; k < i; k++)
			if (colour[k] == colour[i])
				die("frame %u: bars %d and %d have one colour, %#x", c->frames, k,
				    i, colour[i]);
		for (y = rows / 2; y < rows; y++)
			if (memcmp(data + y * stride + x * 2, &colour[i], 4))
				die("frame %u: bar %d is not one colour in row %u", c->frames, i,
				    y);
	}
}

static void read_cell(const struct capture *c, const uint8_t *data, int cell, uint64_t bits[2])
{
	uint32_t stride = c->format.fmt.pix.bytesperline;
	int x, y;

	bits[0] = bits[1] = 0;
	for (y = 0; y < 16; y++) {
		for (x = 0; x < 8; x++) {
			size_t at = (TEXT_Y + y) * stride + (TEXT_X + cell * 8 + x) * 2;

			bits[y / 8] = bits[y / 8] << 1 | (data[at] > 128);
		}
	}
}

/* No part of the buffer is still as we left it. */
static void check_written(const struct capture *c, const uint8_t *data)
{
	uint8_t poison[64];
	uint32_t at;

	memset(poison, POISON, sizeof(poison));
	for (at = 0; at + sizeof(poison) <= c->size; at += sizeof(poison))
		if (!memcmp(data + at, poison, sizeof(poison)))
			die("%s, frame %u: nothing was written at %u", c->method, c->frames, at);
}

void frame_check(struct capture *c, const uint8_t *data, uint32_t bytes, const uint32_t *sequence)
{
	uint32_t stride = c->format.fmt.pix.bytesperline, rows = c->format.fmt.pix.height;
	struct sample *s = &c->samples[c->frames];
	uint64_t picture;
	int i;

	if (bytes != c->size)
		die("frame %u: %u bytes, not %u", c->frames, bytes, c->size);
	check_written(c, data);
	check_bars(c, data);
	picture = hash(data + rows / 2 * stride, (rows - rows / 2) * stride);
	if (!c->frames)
		c->picture = picture;
	else if (picture != c->picture)
		die("frame %u: the bars differ from the first frame's", c->frames);
	s->timed = sequence != NULL;
	s->sequence = sequence ? *sequence : 0;
	for (i = 0; i < TEXT_CELLS; i++)
		read_cell(c, data, i, s->cells[i]);
	c->frames++;
}

static bool same(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] == b[0] && a[1] == b[1];
}

int digits_learn(const struct sample *samples, unsigned int count)
{
	unsigned int i, a, b;
	int missing = -1;

	for (i = 0; i < count; i++) {
		char text[16];

		/* at each place: a slow machine that leaves frames out may never see one that ends in 7 */
		snprintf(text, sizeof(text), "%u", samples[i].sequence);
		for (a = 0; text[a] && NUMBER_CELL + a < TEXT_CELLS; a++) {
			unsigned int digit = text[a] - '0';

			if (known[digit])
				continue;
			memcpy(digits[digit], samples[i].cells[NUMBER_CELL + a],
			       sizeof(digits[digit]));
			known[digit] = true;
		}
	}
	for (a = 0; a < 10; a++) {
		if (!known[a])
			missing = (int)a;
		for (b = 0; known[a] && b < a; b++)
			if (known[b] && same(digits[a], digits[b]))
				die("the pictures do not change: %u and %u look alike", a, b);
	}
	return missing;
}

static int digit_at(const struct sample *s, int cell)
{
	int d;

	for (d = 0; d < 10; d++)
		if (same(s->cells[cell], digits[d]))
			return d;
	return -1;
}

/* The number that the picture shows; -1 when it is none. */
static long shown_number(const struct sample *s)
{
	/* Behind the text the bars go on, and they are lighter than the middle. */
	static const uint64_t bar[2] = { ~0ULL, ~0ULL };
	long number = 0;
	int i, d;

	for (i = NUMBER_CELL; i < TEXT_CELLS; i++) {
		d = digit_at(s, i);
		if (d < 0)
			return i > NUMBER_CELL && same(s->cells[i], bar) ? number : -1;
		number = number * 10 + d;
	}
	return -1;
}

/* The time that the picture shows, its digits in a row; -1 when it is none. */
static long shown_time(const struct sample *s)
{
	static const int cells[] = { 1, 2, 4, 5, 7, 8, 10, 11, 12 };
	long value = 0;
	size_t i;
	int d;

	for (i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		d = digit_at(s, cells[i]);
		if (d < 0)
			return -1;
		value = value * 10 + d;
	}
	return value;
}

/* What was read, for the eye. */
static void show_text(const struct sample *s)
{
	int x, y, i;

	for (y = 0; y < 16; y++) {
		for (i = 0; i < TEXT_CELLS; i++)
			for (x = 0; x < 8; x++)
				fputc(s->cells[i][y / 8] >> (63 - y % 8 * 8 - x) & 1 ? '#' : '.',
				      stderr);
		fputc('\n', stderr);
	}
}

void digits_check(const struct capture *c)
{
	long last_number = -1, last_time = -1, number, when;
	unsigned int i;

	for (i = 0; i < c->frames; i++) {
		number = shown_number(&c->samples[i]);
		when = shown_time(&c->samples[i]);
		if (number < 0 || when < 0) {
			show_text(&c->samples[i]);
			die("%s, frame %u: no number or no time in the picture", c->method, i);
		}
		if (c->samples[i].timed && number != (long)c->samples[i].sequence)
			die("%s, frame %u: the driver says %u, the picture %ld: it is stale",
			    c->method, i, c->samples[i].sequence, number);
		/* vivid gives a number twice when it runs late; what it tells is equal then. */
		if (number < last_number || when < last_time)
			die("%s, frame %u: the picture says %ld at %09ld after %ld at %09ld",
			    c->method, i, number, when, last_number, last_time);
		last_number = number;
		last_time = when;
	}
}
