// SPDX-License-Identifier: Apache-2.0
/* pdtest: output and assertions. */
#include "pdtest.h"

#include <stdarg.h>

char pd_label[128];
static volatile bool has_failed;
static volatile unsigned int failures;

static void print(const char *before, const char *format, va_list args)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s: %s", pd_label, before);

	n += vsnprintf(line + n, sizeof(line) - n, format, args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	fwrite(line, 1, n, stdout);
	fflush(stdout);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print("", format, args);
	va_end(args);
}

void fail(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	char before[64];
	va_list args;

	has_failed = true;
	if (++failures > 5) {
		if (failures == 6)
			printf("%s: FAIL and more\n", pd_label);
		return;
	}
	snprintf(before, sizeof(before), "FAIL %s:%d: ", slash ? slash + 1 : file, line);
	va_start(args, format);
	print(before, format, args);
	va_end(args);
}

bool failed(void)
{
	return has_failed;
}

const char *result(long ret)
{
	static __thread char texts[8][32];
	static __thread unsigned int next;
	char *text = texts[next++ % 8];
	const char *name = ret < 0 ? strerrorname_np(errno) : NULL;

	if (ret == 0)
		return "ok";
	if (name)
		return name;
	if (ret < 0)
		snprintf(text, 32, "errno=%d", errno);
	else
		snprintf(text, 32, "%ld", ret);
	return text;
}
