// SPDX-License-Identifier: Apache-2.0
/* pdtest: the driver touches memory of every kind. */
#include "pdtest.h"

#include <sys/auxv.h>

static const char rodata[PAGE * 2] __attribute__((aligned(4096))) = "read-only data";
static char data_section[PAGE * 2] __attribute__((aligned(4096))) = "data";
static char bss[PAGE * 2] __attribute__((aligned(4096)));

static void say_all(int fd, const char *name, const char *addr, size_t len)
{
	say_touch(fd, name, TD_TOUCH_READ, addr, len);
	say_touch(fd, name, TD_TOUCH_WRITE, addr, len);
	say_touch(fd, name, TD_TOUCH_CLEAR, addr, len);
	say_touch(fd, name, TD_TOUCH_GET, addr, 8);
	say_touch(fd, name, TD_TOUCH_PUT, addr, 4);
	say_touch(fd, name, TD_TOUCH_ATOMIC, addr, len);
}

static void run_anonymous(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_pages(4);

	memset(p, 1, 4 * PAGE);
	say_all(fd, "touched", p + 100, 9000);
	say_all(fd, "fresh", map_pages(4) + 100, 9000);
	p = map_pages(2);
	MUST(mprotect(p, 2 * PAGE, PROT_READ) == 0);
	say_all(fd, "fresh read-only", p, 6000);
	p = map_pages(2);
	memset(p, 1, 2 * PAGE);
	MUST(mprotect(p, 2 * PAGE, PROT_READ) == 0);
	say_all(fd, "read-only", p, 6000);
	MUST(mprotect(p, 2 * PAGE, PROT_NONE) == 0);
	say_all(fd, "PROT_NONE", p, 6000);
	MUST(munmap(p, 2 * PAGE) == 0);
	say_all(fd, "unmapped", p, 6000);
	say_all(fd, "null", NULL, 6000);
	say_all(fd, "shared", map_shared(2 * PAGE), 6000);
}

/* done tells exactly how far the driver came. */
static void run_partial(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_edge(2);

	say_all(fd, "edge", p, 3 * PAGE);
	say_all(fd, "edge, odd", p + 101, 3 * PAGE);
	say_all(fd, "last byte", p + 2 * PAGE - 1, 2);
	p = map_pages(3);
	memset(p, 1, 3 * PAGE);
	MUST(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
	say_all(fd, "read-only middle", p + 10, 3 * PAGE - 10);
	MUST(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	say_all(fd, "closed middle", p + 10, 3 * PAGE - 10);
	say_touch(fd, "across pages", TD_TOUCH_GET, p + PAGE - 4, 8);
	say_touch(fd, "across pages", TD_TOUCH_PUT, p + PAGE - 4, 8);
}

static void run_sections(void)
{
	int fd = open_dev(O_RDWR);
	char *heap = malloc(100000);

	say_all(fd, "rodata", rodata, 6000);
	CHECK(!strcmp(rodata, "read-only data"));
	say_all(fd, "code", (char *)(uintptr_t)run_sections, 64);
	say_all(fd, "data", data_section, 6000);
	say_all(fd, "bss", bss, 6000);
	say_all(fd, "heap", heap, 100000);
	free(heap);
	say_touch(fd, "vdso", TD_TOUCH_READ, (char *)getauxval(AT_SYSINFO_EHDR), 64);
	say_touch(fd, "vdso", TD_TOUCH_WRITE, (char *)getauxval(AT_SYSINFO_EHDR), 64);
}

static __attribute__((noinline)) void deep_stack(int fd, const char *name)
{
	char big[200000], *volatile hidden = big;

	/* Only the driver touches it: the stack grows for the driver as for us. */
	say_touch(fd, name, TD_TOUCH_WRITE, hidden, sizeof(big));
	say("%s right: %zu", name, matching(big, 5, 0, sizeof(big)));
}

static void *thread_stack(void *arg)
{
	deep_stack(*(int *)arg, "thread's stack");
	return NULL;
}

static void run_stack(void)
{
	int fd = open_dev(O_RDWR);
	pthread_t thread;
	char here[300];

	memset(here, 0, sizeof(here));
	say_all(fd, "stack", here, sizeof(here));
	deep_stack(fd, "deep stack");
	MUST(!pthread_create(&thread, NULL, thread_stack, &fd));
	pthread_join(thread, NULL);
}

static void files_of(int fd, const char *name, int file)
{
	char label[64], *p, back[100];

	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	MUST(p != MAP_FAILED);
	snprintf(label, sizeof(label), "%s private", name);
	say_all(fd, label, p + 50, 5000);
	say_touch(fd, label, TD_TOUCH_READ, p + 2 * PAGE, 3000);
	MUST(pread(file, back, 100, 50) == 100);
	CHECK(matching(back, 7, 50, 100) == 100);
	MUST(munmap(p, 4 * PAGE) == 0);

	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, file, 0);
	MUST(p != MAP_FAILED);
	snprintf(label, sizeof(label), "%s read-only", name);
	say_all(fd, label, p + 50, 5000);
	MUST(munmap(p, 4 * PAGE) == 0);

	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	MUST(p != MAP_FAILED);
	snprintf(label, sizeof(label), "%s shared", name);
	say_touch(fd, label, TD_TOUCH_READ, p + 50, 5000);
	say_touch(fd, label, TD_TOUCH_WRITE, p + 50, 5000);
	MUST(pread(file, back, 100, 50) == 100);
	say("%s in the file: %zu right", label, matching(back, 5, 0, 100));
	/* The file ends after its third page. */
	say_touch(fd, label, TD_TOUCH_READ, p + 2 * PAGE, 2 * PAGE);
	say_touch(fd, label, TD_TOUCH_WRITE, p + 3 * PAGE, 100);
	MUST(munmap(p, 4 * PAGE) == 0);
	close(file);
}

static void run_files(void)
{
	int fd = open_dev(O_RDWR);

	files_of(fd, "tmpfs", memory_file(7, 3 * PAGE));
	files_of(fd, "file", temp_file(7, 3 * PAGE));
}

/* What the program does to its memory between two calls counts in the second. */
static void run_changing(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_pages(2);

	memset(p, 1, 2 * PAGE);
	say_touch(fd, "writable", TD_TOUCH_WRITE, p, 2 * PAGE);
	MUST(mprotect(p, 2 * PAGE, PROT_READ) == 0);
	say_touch(fd, "made read-only", TD_TOUCH_WRITE, p, 2 * PAGE);
	say_touch(fd, "made read-only", TD_TOUCH_READ, p, 2 * PAGE);
	MUST(mprotect(p, 2 * PAGE, PROT_NONE) == 0);
	say_touch(fd, "closed", TD_TOUCH_READ, p, 2 * PAGE);
	MUST(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	say_touch(fd, "opened again", TD_TOUCH_WRITE, p, 2 * PAGE);
	MUST(munmap(p + PAGE, PAGE) == 0);
	say_touch(fd, "half unmapped", TD_TOUCH_WRITE, p, 2 * PAGE);
	MUST(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) == p + PAGE);
	say_touch(fd, "mapped again", TD_TOUCH_WRITE, p, 2 * PAGE);
	CHECK(filled(p, 5, 2 * PAGE));
	MUST(madvise(p, 2 * PAGE, MADV_DONTNEED) == 0);
	say_touch(fd, "emptied", TD_TOUCH_READ, p, 2 * PAGE);
	CHECK(p[0] == 0 && p[2 * PAGE - 1] == 0);
}

static const struct pd_case cases[] = {
	{ "anonymous", run_anonymous, 0 }, { "partial", run_partial, 0 },
	{ "sections", run_sections, 0 },   { "stack", run_stack, 0 },
	{ "files", run_files, 0 },	   { "changing", run_changing, 0 },
};

PD_GROUP(efault, "efault", "the driver touches memory of every kind", 0);
