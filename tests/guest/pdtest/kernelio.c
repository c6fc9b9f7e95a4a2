// SPDX-License-Identifier: Apache-2.0
/* pdtest: the kernel reads and writes the device for the program. */
#include "pdtest.h"

#include <linux/aio_abi.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* How much a call moves at once differs between kernels: repeat, tell the sum. */
static ssize_t splice_all(int in, loff_t *pos, int out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = splice(in, pos, out, NULL, len - done, 0);

		if (n < 0)
			return -1;
		if (!n)
			break;
		done += n;
	}
	return done;
}

static bool read_all(int fd, char *data, size_t len)
{
	while (len) {
		ssize_t n = read(fd, data, len);

		if (n <= 0)
			return false;
		data += n;
		len -= n;
	}
	return true;
}

static void run_splice(void)
{
	int fd = open_dev(O_RDWR), pipes[2];
	char *data = map_pages(16);
	loff_t pos = 1000;

	MUST(pipe(pipes) == 0);
	set_mode_seed(fd, TD_MODE_PATTERN, 2);
	say("to a pipe: %s", result(splice_all(fd, &pos, pipes[1], 40000)));
	say("position %lld", (long long)pos);
	MUST(read_all(pipes[0], data, 40000));
	say("right: %zu", matching(data, 2, 1000, 40000));

	set_mode(fd, TD_MODE_LOOP);
	fill(data, 3, 0, 30000);
	MUST(write(pipes[1], data, 30000) == 30000);
	say("from a pipe: %s", result(splice_all(pipes[0], NULL, fd, 30000)));
	memset(data, 0, 30000);
	say("read: %s", result(read(fd, data, 40000)));
	say("right: %zu", matching(data, 3, 0, 30000));
	MUST(write(fd, data, 20000) == 20000);
	say("loop to a pipe: %s", result(splice_all(fd, NULL, pipes[1], 20000)));
	memset(data, 0, 30000);
	MUST(read_all(pipes[0], data, 20000));
	say("right: %zu", matching(data, 3, 0, 20000));
	say("nothing there, not to wait: %s",
	    result(splice((fcntl(fd, F_SETFL, O_NONBLOCK), fd), NULL, pipes[1], NULL, 100, 0)));
}

static ssize_t send_all(int out, int in, off_t *pos, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = sendfile(out, in, pos, len - done);

		if (n < 0)
			return -1;
		if (!n)
			break;
		done += n;
	}
	return done;
}

static void run_sendfile(void)
{
	int fd = open_dev(O_RDWR), file = memory_file(4, 50000), out = memory_file(0, 0), socks[2];
	char *data = map_pages(16);
	off_t pos = 0;

	set_mode(fd, TD_MODE_MEM);
	say("file to device: %s", result(send_all(fd, file, &pos, 50000)));
	MUST(pread(fd, data, 50000, 0) == 50000);
	say("right: %zu", matching(data, 4, 0, 50000));
	pos = 0;
	say("device to file: %s", result(send_all(out, fd, &pos, 50000)));
	memset(data, 0, 50000);
	MUST(pread(out, data, 50000, 0) == 50000);
	say("right: %zu", matching(data, 4, 0, 50000));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	pos = 5000;
	say("device to socket: %s", result(send_all(socks[0], fd, &pos, 20000)));
	memset(data, 0, 50000);
	MUST(read_all(socks[1], data, 20000));
	say("right: %zu", matching(data, 4, 5000, 20000));
	say("copy_file_range: %s", result(copy_file_range(fd, NULL, out, NULL, 100, 0)));
}

/* The old asynchronous interface: its submissions read and write at once. */
static void run_aio(void)
{
	int fd = open_dev(O_RDWR);
	char *data = map_pages(16);
	struct iocb read_cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)data,
		.aio_nbytes = 30000,
		.aio_offset = 777,
	};
	struct iocb write_cb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)data,
		.aio_nbytes = 30000,
		.aio_offset = 777,
	};
	struct iocb *list[1];
	struct io_event event;
	aio_context_t context = 0;
	int i;

	set_mode_seed(fd, TD_MODE_PATTERN, 9);
	if (syscall(SYS_io_setup, 4, &context)) {
		say("io_setup: %s", result(-1));
		return;
	}
	for (i = 0; i < 2; i++) {
		list[0] = i ? &write_cb : &read_cb;
		say("submit: %s", result(syscall(SYS_io_submit, context, 1, list)));
		say("event: %s", result(syscall(SYS_io_getevents, context, 1, 1, &event, NULL)));
		say("moved: %d, right %zu", (int)event.res, matching(data, 9, 777, 30000));
	}
	syscall(SYS_io_destroy, context);
}

static const struct pd_case cases[] = {
	{ "splice", run_splice, 0 },
	{ "sendfile", run_sendfile, 0 },
	{ "aio", run_aio, 0 },
};

PD_GROUP(kernelio, "kernelio", "splice, sendfile and aio", 0);
