// SPDX-License-Identifier: Apache-2.0
#include "told_identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <paradice/protocol.h>

/* Of a later version: left out by who reads it. */
#define OTHER_RECORD 0x4141

_Static_assert(LIE_NATTRIBUTES > PD_IDENTITY_ATTRIBUTES, "there are too many");

/* A record of @len bytes at @data, which says that it is @more longer; its end. */
static uint8_t *record(uint8_t *at, uint16_t type, const void *data, size_t len, size_t more)
{
	struct pd_identity_record head = { .type = type, .len = (uint16_t)(len + more) };

	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), data, len);
	return at + sizeof(head) + len;
}

/* ... of @text with its NUL */
static uint8_t *text_record(uint8_t *at, uint16_t type, const char *text)
{
	return record(at, type, text, strlen(text) + 1, 0);
}

static uint8_t *attribute(uint8_t *at, const char *name, const char *value, size_t more)
{
	char text[64];
	const size_t len = (size_t)snprintf(text, sizeof(text), "%s%c%s", name, 0, value);

	return record(at, PD_ID_ATTRIBUTE, text, len, more);
}

/* Up to @end, or nearly: no record is longer than what one can say. */
static uint8_t *filler(uint8_t *at, const uint8_t *end)
{
	static const uint8_t nothing[1024];

	while (at + sizeof(nothing) < end)
		at = record(at, OTHER_RECORD, nothing,
			    sizeof(nothing) - sizeof(struct pd_identity_record), 0);
	return at;
}

/* One ancestor more than there may be, each in the one before; then the device. */
static uint8_t *ancestors(uint8_t *at, uint32_t id)
{
	char path[128] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < PD_IDENTITY_OBJECTS; i++) {
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%slied%u", i ? "/" : "",
					i);
		at = text_record(at, PD_ID_OBJECT, path);
		at = text_record(at, PD_ID_CLASS, "lied");
	}
	snprintf(path + len, sizeof(path) - len, "/lied-%u", id);
	return text_record(at, PD_ID_OBJECT, path);
}

static const char *long_path(char *path, uint32_t id)
{
	size_t len = 0;

	while (len < PD_IDENTITY_PATH)
		len += (size_t)sprintf(path + len, "lied/");
	sprintf(path + len, "lied-%u", id);
	return path;
}

/* The device's name and, of LIE_OBJECTS and LIE_OUTER, its ancestors. */
static uint8_t *object(uint8_t *at, enum lie lie, uint32_t id)
{
	char path[PD_IDENTITY_PATH + 64];

	switch (lie) {
	case LIE_OBJECTS:
		return ancestors(at, id);
	case LIE_PATH:
		return text_record(at, PD_ID_OBJECT, long_path(path, id));
	case LIE_OUTER:
		at = text_record(at, PD_ID_OBJECT, "outer");
		at = text_record(at, PD_ID_CLASS, "lied");
		/* ... and its class, which comes next, begins where its name would */
		return text_record(at, PD_ID_OBJECT, "a");
	default:
		snprintf(path, sizeof(path), "virtual/lied/lied-%u", id);
		return text_record(at, PD_ID_OBJECT, path);
	}
}

static uint8_t *many_attributes(uint8_t *at)
{
	char name[32];

	for (unsigned int i = 0; i < LIE_NATTRIBUTES; i++) {
		snprintf(name, sizeof(name), "lied-%u", i);
		at = attribute(at, name, "lied", 0);
	}
	return at;
}

static uint8_t *many_properties(uint8_t *at)
{
	char property[32];

	for (unsigned int i = 0; i < LIE_NPROPERTIES; i++) {
		snprintf(property, sizeof(property), "L%u=1", i);
		at = text_record(at, PD_ID_PROPERTY, property);
	}
	return at;
}

/* A property that is not ended, and what comes behind it: type and length of a record, "AA" and "A". */
static uint8_t *endless_property(uint8_t *at)
{
	static const uint8_t nothing['A'];

	at = record(at, PD_ID_PROPERTY, "MORE=1", 6, 0);
	return record(at, OTHER_RECORD, nothing, sizeof(nothing), 0);
}

static uint8_t *long_attribute(uint8_t *at)
{
	static char text[sizeof("lied") + PD_IDENTITY_VALUE + 1];

	memset(text, 'l', sizeof(text));
	memcpy(text, "lied", sizeof("lied"));
	return record(at, PD_ID_ATTRIBUTE, text, sizeof(text), 0);
}

/* What else the device has; @end: of what the guest has room for. */
static uint8_t *entries(uint8_t *at, enum lie lie, const uint8_t *end)
{
	switch (lie) {
	case LIE_PROPERTY:
		return text_record(at, PD_ID_PROPERTY, "MODALIAS=lied:what-the-host-wants");
	case LIE_RECORD:
		return attribute(at, "lied", "lied", LIE_MORE - 4);
	case LIE_AMOUNT:
		while (at + LIE_MORE < end)
			at = text_record(at, OTHER_RECORD, "of a later version");
		return attribute(at, "lied", "lied", LIE_MORE - 4);
	case LIE_ENTRY:
		return attribute(at, ".lied", "lied", 0);
	case LIE_OWN:
		return attribute(at, "driver", "lied", 0);
	case LIE_STRING:
		return endless_property(at);
	case LIE_VALUE:
		return long_attribute(at);
	case LIE_ATTRIBUTES:
		return many_attributes(at);
	case LIE_EVENTS:
		return many_properties(at);
	default:
		return attribute(at, "lied", "lied", 0);
	}
}

int told_identity(struct told_identity *t, uint32_t offset, uint8_t *bytes, uint32_t room)
{
	uint8_t *at = bytes;

	if (!offset) {
		at = object(at, t->lie, t->id);
		at = text_record(at, PD_ID_CLASS, "lied");
		at = text_record(at, PD_ID_PROPERTY, "LIED=1");
		at = entries(at, t->lie, bytes + room);
	} else if (t->lie != LIE_TOTALS) {
		return -ENODATA;
	}
	if (t->lie == LIE_TOTALS)
		at = filler(at, bytes + room);
	t->len = (uint32_t)(at - bytes);
	t->result = t->len;
	t->total = t->len;
	if (t->lie == LIE_AMOUNT)
		t->result = t->total = t->len + LIE_MORE - 4;
	else if (t->lie == LIE_TOTAL)
		t->total--;
	else if (t->lie == LIE_TOTALS)
		t->total = 1 << 20;
	return 0;
}
