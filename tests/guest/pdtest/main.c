// SPDX-License-Identifier: Apache-2.0
/*
 * pdtest list
 * pdtest run [OPTION...] WHAT...	(usage below)
 */
#include "pdtest.h"
#include "groups.h"

#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

unsigned int patience = 1;
bool without_maps;
static bool shared; /* others use the device at the same time */
static bool times; /* tell on stderr how long each case took */

static const char usage[] =
	"usage: pdtest list\n"
	"       pdtest rules\n"
	"       pdtest run [--device /dev/testdev] [--slow N] [--shared] [--no-maps] [--times] WHAT...\n"
	"WHAT is a group, group.case, \"all\", or any of them after a '-', to leave it out; later\n"
	"words win. rules: which ioctls pass descriptors, as paradiced's --device takes it.\n"
	"--slow multiplies the time bounds; --shared: other programs use the device meanwhile,\n"
	"so that groups marked \"alone\" do not run and nothing is said of what is left behind;\n"
	"--no-maps: what is used for a bit of everything is not mapped;\n"
	"--times: how long each case took, on stderr.\n";

static bool word_selects(const char *word, const struct pd_group *g, const struct pd_case *c)
{
	size_t n = strlen(g->name);

	if (!strcmp(word, "all"))
		return true;
	if (strncmp(word, g->name, n))
		return false;
	return word[n] == 0 || (word[n] == '.' && !strcmp(word + n + 1, c->name));
}

static bool word_known(const char *word)
{
	const struct pd_group *g;
	size_t i, k;

	word += *word == '-';
	for (i = 0; (g = pd_groups[i]); i++)
		for (k = 0; k < g->count; k++)
			if (word_selects(word, g, &g->cases[k]))
				return true;
	return false;
}

static bool selected(char **words, const struct pd_group *g, const struct pd_case *c)
{
	bool yes = false;

	if (shared && (g->flags & PD_ALONE))
		return false;
	for (; *words; words++) {
		bool leave_out = **words == '-';

		if (word_selects(*words + leave_out, g, c))
			yes = !leave_out;
	}
	return yes;
}

static int list(void)
{
	const struct pd_group *g;
	size_t i, k;

	for (i = 0; (g = pd_groups[i]); i++) {
		printf("%s%s: %s\n", g->name, g->flags & PD_ALONE ? " (alone)" : "", g->about);
		for (k = 0; k < g->count; k++)
			printf("  %s.%s\n", g->name, g->cases[k].name);
	}
	return 0;
}

/* What of the driver's is in use; the files count our own one. */
static struct td_stat in_use(void)
{
	struct td_stat stat = { 0 };
	int fd = open_node("", O_RDWR);

	if (fd < 0 || ioctl(fd, TD_STAT, &stat)) {
		fprintf(stderr, "pdtest: %s: %s\n", pd_device, strerror(errno));
		exit(2);
	}
	close(fd);
	return stat;
}

static bool left_behind(const struct td_stat *before, const char **what)
{
	static const struct {
		enum td_count count;
		const char *name;
	} kinds[] = {
		{ TD_FILES, "open files" }, { TD_BLOCKED, "blocked operations" },
		{ TD_MAPS, "mappings" },    { TD_PINNED, "pinned pages" },
		{ TD_JOBS, "jobs" },	    { TD_ASYNC_FILES, "files with FASYNC" },
	};
	struct td_stat now = in_use();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (now.all[kinds[i].count] != before->all[kinds[i].count]) {
			*what = kinds[i].name;
			return true;
		}
	}
	return false;
}

/* Everything that a case took is given back soon after its process ended. */
static bool all_given_back(const struct td_stat *before)
{
	uint64_t end = now_ms() + 5000 * patience;
	const char *what;

	while (left_behind(before, &what)) {
		if (now_ms() > end) {
			say("FAIL left behind in the driver: %s", what);
			return false;
		}
		nap(5);
	}
	return true;
}

static void __attribute__((noreturn)) run_child(const struct pd_case *c)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(getrandom(&pd_id, sizeof(pd_id), 0) == sizeof(pd_id));
	pd_id |= 1;
	c->run();
	fflush(stdout);
	_exit(failed() ? 1 : 0);
}

/* Wait for a case; one that takes too long is killed with all its children. */
static bool supervise(pid_t pid, unsigned int seconds)
{
	uint64_t end = now_ms() + seconds * 1000;
	bool late = false;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > end && late) {
			say("FAIL killed, but still there");
			return false;
		}
		if (now_ms() > end) {
			say("FAIL not done within %u seconds", seconds);
			kill(-pid, SIGKILL);
			late = true;
			end = now_ms() + 10000 * patience;
		}
		nap(1);
	}
	kill(-pid, SIGKILL);
	if (late)
		return false;
	if (WIFSIGNALED(status))
		say("FAIL ended by signal %d", WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_case(const struct pd_group *g, const struct pd_case *c)
{
	unsigned int seconds = (c->seconds ? c->seconds : 20) * patience;
	uint64_t start = now_ms();
	struct td_stat before;
	bool good;
	pid_t pid;

	snprintf(pd_label, sizeof(pd_label), "%s.%s", g->name, c->name);
	before = in_use();
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		say("FAIL fork: %s", strerror(errno));
		return false;
	}
	if (!pid)
		run_child(c);
	good = supervise(pid, seconds);
	if (!shared)
		good = all_given_back(&before) && good;
	if (times)
		fprintf(stderr, "%6u ms %s\n", (unsigned int)(now_ms() - start), pd_label);
	return good;
}

static int run(char **words)
{
	const struct pd_group *g;
	unsigned int ran = 0, bad = 0;
	char **word;
	size_t i, k;

	for (word = words; *word; word++) {
		if (!word_known(*word)) {
			fprintf(stderr, "pdtest: no group or case \"%s\"; see pdtest list\n",
				*word);
			return 2;
		}
	}
	for (i = 0; (g = pd_groups[i]); i++) {
		for (k = 0; k < g->count; k++) {
			if (!selected(words, g, &g->cases[k]))
				continue;
			ran++;
			bad += !run_case(g, &g->cases[k]);
		}
	}
	printf("total: %u cases, %u failed\n", ran, bad);
	return bad || !ran ? 1 : 0;
}

/* A thousand opens and their pipes need more than the usual 1024. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 4096 && geteuid() == 0)
		limit.rlim_max = 4096;
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	int i = 2;

	/* exec'd by a case of ours: see files.c */
	if (argc >= 3 && !strcmp(argv[1], "after-exec"))
		return after_exec(argc - 2, argv + 2);
	if (argc == 2 && !strcmp(argv[1], "list"))
		return list();
	if (argc == 2 && !strcmp(argv[1], "rules"))
		return print_rules();
	if (argc < 3 || strcmp(argv[1], "run")) {
		fputs(usage, stderr);
		return 2;
	}
	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--shared")) {
			shared = true;
		} else if (!strcmp(argv[i], "--no-maps")) {
			without_maps = true;
		} else if (!strcmp(argv[i], "--times")) {
			times = true;
		} else if (!strcmp(argv[i], "--device") && i + 1 < argc) {
			pd_device = argv[++i];
		} else if (!strcmp(argv[i], "--slow") && i + 1 < argc && atoi(argv[i + 1]) > 0) {
			patience = atoi(argv[++i]);
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	raise_file_limit();
	return run(argv + i);
}
