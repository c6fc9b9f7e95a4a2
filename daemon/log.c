// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define LIMIT_LINES 5
#define LIMIT_MS 10000

static char prefix[96] = "paradiced: ";
static enum log_level threshold = LOG_INFO;
static const char *const names[] = { "error", "warning", "info", "debug" };

void log_setup(const char *who, enum log_level level)
{
	if (who)
		snprintf(prefix, sizeof(prefix), "paradiced: %s: ", who);
	else
		snprintf(prefix, sizeof(prefix), "paradiced: ");
	threshold = level;
}

enum log_level log_level(void)
{
	return threshold;
}

int log_level_parse(const char *name)
{
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

static void put(enum log_level level, const char *format, va_list args)
{
	char line[1024];
	int saved = errno;
	size_t n;

	n = (size_t)snprintf(line, sizeof(line), "%s%s", prefix,
			     level == LOG_ERROR	  ? "error: " :
			     level == LOG_WARNING ? "warning: " :
						    "");
	errno = saved; /* for %m */
	vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	n = strlen(line);
	line[n++] = '\n';
	/* Nothing sensible can be done when standard error is gone. */
	if (write(STDERR_FILENO, line, n) < 0)
		n = 0;
	errno = saved;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > threshold)
		return;
	va_start(args, format);
	put(level, format, args);
	va_end(args);
}

void log_limited_line(struct log_limit *limit, enum log_level level, const char *format, ...)
{
	unsigned int hidden = 0;
	bool show;
	va_list args;
	uint64_t now;

	if (level > threshold)
		return;
	now = now_ms();
	pthread_mutex_lock(&limit->lock);
	if (!limit->begin_ms || now - limit->begin_ms > LIMIT_MS) {
		hidden = limit->hidden;
		limit->begin_ms = now;
		limit->shown = limit->hidden = 0;
	}
	show = limit->shown < LIMIT_LINES;
	if (show)
		limit->shown++;
	else
		limit->hidden++;
	pthread_mutex_unlock(&limit->lock);
	if (!show)
		return;
	va_start(args, format);
	put(level, format, args);
	va_end(args);
	if (hidden)
		log_line(level, "(%u lines like the last one were left out before it)", hidden);
}
