/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on standard error, one write each, for people and for the journal. */
#ifndef PARADICE_LOG_H
#define PARADICE_LOG_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/**
 * log_setup() - names the lines of this process and sets what is shown
 * @who: put behind "paradiced: ", NULL for nothing; copied
 * @level: the least important level that is shown
 */
void log_setup(const char *who, enum log_level level);
enum log_level log_level(void);

/* The level called @name ("error", "warning", "info", "debug"), or -1. */
int log_level_parse(const char *name);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* State of one place that logs what a guest can provoke: a few lines, then a count. */
struct log_limit {
	pthread_mutex_t lock;
	uint64_t begin_ms;
	unsigned int shown;
	unsigned int hidden;
};

void log_limited_line(struct log_limit *limit, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* For what a guest, a VMM or a worker can make happen as often as it likes. */
#define log_limited(level, ...)                                                         \
	do {                                                                            \
		static struct log_limit limit_ = { .lock = PTHREAD_MUTEX_INITIALIZER }; \
		log_limited_line(&limit_, level, __VA_ARGS__);                          \
	} while (0)

#endif
