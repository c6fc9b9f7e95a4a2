// SPDX-License-Identifier: Apache-2.0
/* pdtest: many files, many sleepers, many processes. */
#include "pdtest.h"

#define OPENS 1000
#define SLEEPERS 128

static void run_opens(void)
{
	static int fds[OPENS];
	int w = open_watcher(), i, right = 0;

	for (i = 0; i < OPENS; i++)
		fds[i] = open_dev(O_RDWR);
	say("files %u", count_of(w, TD_FILES));
	for (i = 0; i < OPENS; i++)
		right += write(fds[i], &i, sizeof(i)) == sizeof(i);
	for (i = OPENS - 1; i >= 0; i--) {
		int value;

		right += read(fds[i], &value, sizeof(value)) == sizeof(value) && value == i;
	}
	say("right %d", right);
	for (i = 0; i < OPENS; i += 2)
		close(fds[i]);
	say("half closed: files %u", count_of(w, TD_FILES));
	for (i = 1; i < OPENS; i += 2)
		close(fds[i]);
	say("closed: files %u, releases %u", count_of(w, TD_FILES), count_of(w, TD_RELEASES));
}

static void run_again(void)
{
	int w = open_watcher(), i;

	for (i = 0; i < OPENS; i++)
		close(open_dev(O_RDWR));
	say("files %u, releases %u", count_of(w, TD_FILES), count_of(w, TD_RELEASES));
}

static void *sleeper(void *arg)
{
	struct td_block block = { .how = TD_BLOCK_INTR };

	return (void *)(intptr_t)ioctl(*(int *)arg, TD_BLOCK, &block);
}

/* A hundred operations asleep: the next ones are served meanwhile. */
static void run_asleep(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), i, bad = 0;
	pthread_t threads[SLEEPERS];
	char data[100];
	void *ret;

	for (i = 0; i < SLEEPERS; i++)
		MUST(!pthread_create(&threads[i], NULL, sleeper, &fd));
	await_count(w, TD_BLOCKED, SLEEPERS);
	say("asleep %u", count_of(w, TD_BLOCKED));
	for (i = 0; i < 20; i++) {
		MUST(write(fd, data, 100) == 100);
		MUST(read(fd, data, 100) == 100);
		MUST(ioctl(w, TD_NOP) == 0);
	}
	say("asleep %u", count_of(w, TD_BLOCKED));
	wake(w, SLEEPERS, 0);
	for (i = 0; i < SLEEPERS; i++) {
		pthread_join(threads[i], &ret);
		bad += ret != NULL;
	}
	say("woken, bad %d, asleep %u", bad, count_of(w, TD_BLOCKED));
}

/* Processes that come, work and go at the same time. */
static void run_processes(void)
{
	int w = open_watcher(), i, round, bad = 0;
	pid_t pids[16];

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 16; i++) {
			pids[i] = pd_fork();
			if (!pids[i]) {
				int fd = open_dev(O_RDWR), k;
				char *data = map_pages(8);

				for (k = 0; k < 20; k++) {
					fill(data, i * 20 + k, 0, 5 * PAGE);
					if (write(fd, data, 5 * PAGE) != 5 * (long)PAGE)
						_exit(1);
					memset(data, 0, 5 * PAGE);
					if (read(fd, data, 5 * PAGE) != 5 * (long)PAGE ||
					    !filled(data, i * 20 + k, 5 * PAGE))
						_exit(2);
				}
				_exit(0);
			}
		}
		for (i = 0; i < 16; i++)
			bad += reap(pids[i]);
	}
	await_count(w, TD_FILES, 0);
	say("bad %d, files %u, releases %u", bad, count_of(w, TD_FILES), count_of(w, TD_RELEASES));
}

static const struct pd_case cases[] = {
	{ "opens", run_opens, 60 },
	{ "again", run_again, 60 },
	{ "asleep", run_asleep, 0 },
	{ "processes", run_processes, 60 },
};

PD_GROUP(many, "many", "many files, sleepers and processes", 0);
