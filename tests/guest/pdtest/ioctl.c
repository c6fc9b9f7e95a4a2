// SPDX-License-Identifier: Apache-2.0
/* pdtest: ioctls and the memory they reach through pointers. */
#include "pdtest.h"

#include <limits.h>

static void run_return(void)
{
	static const int values[] = { 0, 1, 42, 4095, 4096, 65536, INT_MAX };
	int fd = open_dev(O_RDWR), e, right = 0;
	size_t i;

	say("no-op: %s", result(ioctl(fd, TD_NOP)));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		say("returns %d: %s", values[i], result(ioctl(fd, TD_RETURN, values[i])));
	for (e = 1; e <= 133; e++) {
		errno = 0;
		if (ioctl(fd, TD_RETURN, -e) == -1 && errno == e)
			right++;
		else
			say("errno %d comes as %s", e, result(-1));
	}
	say("errnos 1 to 133: %d right", right);
	for (e = 512; e <= 530; e++)
		say("code %d without a signal: %s", e, result(ioctl(fd, TD_RETURN, -e)));
	say("unknown: %s", result(ioctl(fd, _IO(TD_MAGIC, 0xff))));
	say("unknown with an argument: %s", result(ioctl(fd, _IOWR(TD_MAGIC, 0xff, long), &e)));
	say("bad descriptor: %s", result(ioctl(-1, TD_NOP)));
}

struct tree {
	struct td_top top;
	struct td_mid mids[8];
	struct td_leaf leaves[8][16];
	char *text[8][16];
	char out[64];
};

static size_t leaf_len(int m, int i, size_t longest)
{
	return (m * 131 + i * 977) % longest + 1;
}

/* A tree of mids * per leaves, their texts apart from each other in @pool. */
static struct tree *make_tree(int mids, int per, size_t longest, char *pool)
{
	struct tree *t = calloc(1, sizeof(*t));
	int m, i;

	MUST(t);
	t->top = (struct td_top){ .mids = t->mids, .count = mids, .out = t->out, .out_len = 64 };
	for (m = 0; m < mids; m++) {
		t->mids[m] = (struct td_mid){ .leaves = t->leaves[m], .count = per };
		for (i = 0; i < per; i++) {
			t->text[m][i] = pool;
			t->leaves[m][i] = (struct td_leaf){ pool, leaf_len(m, i, longest), 0 };
			fill(pool, m * 16 + i, 0, t->leaves[m][i].len);
			pool += longest + 77;
		}
	}
	return t;
}

static bool reversed(const char *text, unsigned int seed, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((uint8_t)text[i] != td_byte(seed, len - 1 - i))
			return false;
	return true;
}

static void check_tree(struct tree *t)
{
	uint32_t sum, total = 0;
	int m, i;

	for (m = 0; m < (int)t->top.count; m++) {
		for (sum = 0, i = 0; i < (int)t->mids[m].count; i++) {
			struct td_leaf *leaf = &t->leaves[m][i];
			char *copy = malloc(leaf->len);

			fill(copy, m * 16 + i, 0, leaf->len);
			CHECK(leaf->value ==
			      (long)((uint32_t)td_sum(0, copy, leaf->len) & 0x7fffffff));
			CHECK(reversed(t->text[m][i], m * 16 + i, leaf->len));
			CHECK(leaf->text == t->text[m][i]);
			sum = (sum + (uint32_t)leaf->value) & 0x7fffffff;
			free(copy);
		}
		CHECK(t->mids[m].sum == (long)sum);
		total = (total + sum) & 0x7fffffff;
	}
	CHECK(t->top.total == (long)total);
}

static void run_nested(void)
{
	static const struct {
		int mids, per;
		size_t longest;
	} shapes[] = { { 0, 0, 1 }, { 1, 1, 1 }, { 2, 3, 100 }, { 8, 16, 3000 }, { 8, 16, 40000 } };
	char *pool = map_pages(8 * 16 * 11);
	int fd = open_dev(O_RDWR);
	struct tree *t;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		t = make_tree(shapes[i].mids, shapes[i].per, shapes[i].longest, pool);
		say("%d x %d: %s", shapes[i].mids, shapes[i].per,
		    result(ioctl(fd, TD_NEST, &t->top)));
		check_tree(t);
		say("wrote: %s, total %ld", t->out, t->top.total);
		free(t);
	}
}

/* A bad pointer at each level: EFAULT, and what went before has happened. */
static void run_nested_bad(void)
{
	char *pool = map_pages(16), *edge = map_edge(1);
	int fd = open_dev(O_RDWR);
	struct tree *t = make_tree(2, 2, 50, pool);

	t->mids[1].leaves = NULL;
	say("leaves at nowhere: %s", result(ioctl(fd, TD_NEST, &t->top)));
	CHECK(reversed(t->text[0][1], 1, t->leaves[0][1].len));
	t = make_tree(2, 2, 50, pool);
	t->leaves[1][1].text = edge + PAGE - 3;
	say("text over the edge: %s", result(ioctl(fd, TD_NEST, &t->top)));
	t = make_tree(2, 2, 50, pool);
	t->leaves[0][0].text = (char *)"constant, which cannot be reversed where it stands";
	say("constant text: %s", result(ioctl(fd, TD_NEST, &t->top)));
	t = make_tree(2, 2, 50, pool);
	t->top.mids = (struct td_mid *)(edge + PAGE);
	say("mids past the edge: %s", result(ioctl(fd, TD_NEST, &t->top)));
	t = make_tree(2, 2, 50, pool);
	t->top.out = NULL;
	say("out at nowhere: %s", result(ioctl(fd, TD_NEST, &t->top)));
	t = make_tree(2, 2, 50, pool);
	t->top.out_len = 3;
	say("out too small: %s", result(ioctl(fd, TD_NEST, &t->top)));
	t->top.count = TD_NEST_MAX + 1;
	say("too many: %s", result(ioctl(fd, TD_NEST, &t->top)));
	say("no argument: %s", result(ioctl(fd, TD_NEST, NULL)));
	say("an argument in the kernel: %s", result(ioctl(fd, TD_NEST, (void *)-8192)));
#ifdef __LP64__
	say("a non-canonical one: %s", result(ioctl(fd, TD_NEST, (void *)0x4141414141414141)));
	say("just above the program: %s", result(ioctl(fd, TD_NEST, (void *)0x7ffffffff000)));
#else
	say("a non-canonical one: EFAULT");
	say("just above the program: EFAULT");
#endif
}

/* The argument itself lies across two pages, or ends where memory ends. */
static void run_argument(void)
{
	char *edge = map_edge(2), *pool = map_pages(4);
	struct tree *t = make_tree(1, 2, 60, pool);
	int fd = open_dev(O_RDWR);
	struct td_top *top;

	top = (struct td_top *)(edge + PAGE - 16);
	*top = t->top;
	say("across pages: %s", result(ioctl(fd, TD_NEST, top)));
	CHECK(top->total == t->mids[0].sum);
	t = make_tree(1, 2, 60, pool);
	top = (struct td_top *)(edge + 2 * PAGE - sizeof(*top));
	*top = t->top;
	say("at the edge: %s", result(ioctl(fd, TD_NEST, top)));
	CHECK(top->total == t->mids[0].sum);
	say("over the edge: %s", result(ioctl(fd, TD_NEST, edge + 2 * PAGE - sizeof(*top) + 8)));
	t = make_tree(1, 2, 60, pool);
	*top = t->top;
	MUST(mprotect(edge + PAGE, PAGE, PROT_READ) == 0);
	say("argument not writable: %s", result(ioctl(fd, TD_NEST, top)));
	CHECK(reversed(t->text[0][0], 0, t->leaves[0][0].len));
}

static long run_array_of(int fd, uint64_t *items, unsigned int count, unsigned int *odd)
{
	struct td_array array = { .items = (__u64 *)items, .count = count };
	unsigned int i, expect = 0, right = 0;
	uint32_t sum = 0;
	long ret;

	for (i = 0; i < count; i++) {
		items[i] = td_word(2, i) >> 34;
		expect += items[i] & 1;
		sum += items[i];
	}
	ret = ioctl(fd, TD_ARRAY, &array);
	if (ret == 0) {
		for (i = 0; i < count; i++)
			right += items[i] == (td_word(2, i) >> 34) * (td_word(2, i) >> 34);
		CHECK(right == count);
		CHECK(array.count == expect);
		CHECK(array.sum == (long)(sum & 0x7fffffff));
	}
	*odd = array.count;
	return ret;
}

static void run_array(void)
{
	static const unsigned int counts[] = { 0, 1, 511, 512, 513, 5000, TD_ARRAY_MAX };
	uint64_t *items = (uint64_t *)(map_pages(130) + 24);
	struct td_array array;
	int fd = open_dev(O_RDWR);
	char *edge = map_edge(1);
	unsigned int odd;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		const char *text = result(run_array_of(fd, items, counts[i], &odd));

		say("%u items: %s, %u odd", counts[i], text, odd);
	}
	array = (struct td_array){ .items = (__u64 *)(edge + PAGE - 64), .count = 8 };
	say("to the edge: %s", result(ioctl(fd, TD_ARRAY, &array)));
	array.count = 9;
	say("over the edge: %s", result(ioctl(fd, TD_ARRAY, &array)));
	array.count = TD_ARRAY_MAX + 1;
	say("too many: %s", result(ioctl(fd, TD_ARRAY, &array)));
	array.count = 0;
	array.items = NULL;
	say("none, at nowhere: %s", result(ioctl(fd, TD_ARRAY, &array)));
}

/* Items behind a header, beyond what the number says. */
static void run_flexible(void)
{
	unsigned int n = 3000, i, right = 0;
	struct td_flex *flex = (struct td_flex *)(map_pages(4) + 4000);
	uint32_t *items = (uint32_t *)(flex + 1);
	int fd = open_dev(O_RDWR);

	flex->count = n;
	for (i = 0; i < n; i++)
		items[i] = i;
	say("%u items: %s", n, result(ioctl(fd, TD_FLEX, flex)));
	say("total %u", flex->total);
	for (i = 0; i < n; i++)
		right += items[i] == 2 * i;
	say("%u right", right);
	flex->count = 5000;
	say("over the edge: %s", result(ioctl(fd, TD_FLEX, flex)));
}

static void run_align(void)
{
	struct td_align align = { .a = 5, .b = 1000000000037LL - 1000000000000LL };
	int fd = open_dev(O_RDWR);

	say("mixed widths: %s", result(ioctl(fd, TD_ALIGN, &align)));
	say("sum %d", align.c);
}

/* What lies behind a structure may look like pointers and lengths: that must not cost the program memory. */
static void run_lookalikes(void)
{
	/* first, as that passes a random number, which may look like a pointer, too */
	int fd = open_dev(O_RDWR), i, touched = 0;
	const size_t pages = 8192;
	unsigned char *resident = malloc(pages);
	uintptr_t *words = (uintptr_t *)map_pages(1);
	/* mapped, as a heap's address may be so low that it is a length for all that one can see */
	char *untouched = map_edge(pages), *pool = map_pages(3);
	struct td_mid *mid = (struct td_mid *)words;
	struct td_leaf *leaf = (struct td_leaf *)pool;
	struct td_top top = { .mids = mid, .count = 1, .out = pool + PAGE, .out_len = 64 };

	/* a guess costs pages, not huge ones */
	MUST(madvise(untouched, pages * PAGE, MADV_NOHUGEPAGE) == 0);
	*leaf = (struct td_leaf){ .text = strcpy(pool + 2 * PAGE, "text"), .len = 4 };
	*mid = (struct td_mid){ .leaves = leaf, .count = 1 };
	for (i = sizeof(*mid) / sizeof(*words); i < 32; i += 2) {
		words[i] = (uintptr_t)untouched + (PAGE + 1) * i * 8;
		words[i + 1] = pages * PAGE + i;
	}
	say("beside what looks like pointers: %s", result(ioctl(fd, TD_NEST, &top)));
	CHECK(top.total == mid->sum && top.total == leaf->value);
	MUST(mincore(untouched, pages * PAGE, resident) == 0);
	for (i = 0; i < (int)pages; i++)
		touched += resident[i] & 1;
	CHECK(touched <= 32);
}

struct worker {
	pthread_t thread;
	int fd, number, good;
};

static void *hammer(void *arg)
{
	struct worker *w = arg;
	char *pool = map_pages(32);
	struct tree *t;
	int i;

	for (i = 0; i < 30; i++) {
		t = make_tree(1 + (w->number + i) % 4, 1 + i % 8, 300 + i, pool);
		w->good += ioctl(w->fd, TD_NEST, &t->top) == 0;
		check_tree(t);
		free(t);
	}
	return NULL;
}

/* Many threads at once, on one file and on several. */
static void run_threads(void)
{
	struct worker w[8];
	int shared = open_dev(O_RDWR), i, good = 0;

	for (i = 0; i < 8; i++) {
		w[i] = (struct worker){ .fd = i < 4 ? shared : open_dev(O_RDWR), .number = i };
		MUST(!pthread_create(&w[i].thread, NULL, hammer, &w[i]));
	}
	for (i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		good += w[i].good;
	}
	say("8 threads: %d right", good);
}

static const struct pd_case cases[] = {
	{ "return", run_return, 0 },	     { "nested", run_nested, 0 },
	{ "nested-bad", run_nested_bad, 0 }, { "argument", run_argument, 0 },
	{ "array", run_array, 0 },	     { "flexible", run_flexible, 0 },
	{ "align", run_align, 0 },	     { "lookalikes", run_lookalikes, 0 },
	{ "threads", run_threads, 0 },
};

PD_GROUP(ioctl, "ioctl", "ioctls and the memory they reach through pointers", 0);
