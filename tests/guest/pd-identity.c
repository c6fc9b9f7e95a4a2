// SPDX-License-Identifier: Apache-2.0
/*
 * pd-identity: say what /sys tells of device files, in words that do not depend on where in
 * /sys/devices they are, so that two machines' can be compared.
 *
 *	pd-identity PATH...
 *
 * Of each device and of its ancestors (at most four, and not beyond a PCI bridge): name, subsystem,
 * the properties of its events, its links and its attributes. Left out is what a guest does not get:
 * numbers, modes and drivers, what only root may read, and what is no text.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *base(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Where the link @dir/@name leads to; false when there is none. */
static bool link_of(const char *dir, const char *name, char *target)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !lstat(path, &st) && S_ISLNK(st.st_mode) && realpath(path, target);
}

static void print_properties(const char *dir)
{
	static const char *const skip[] = { "MAJOR=",  "MINOR=",  "DEVMODE=", "DEVUID=",
					    "DEVGID=", "DRIVER=", "MODALIAS=" };
	char path[PATH_MAX + 64];
	char line[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/uevent", dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		bool skipped = false;

		for (size_t i = 0; i < sizeof(skip) / sizeof(skip[0]); i++)
			skipped |= starts(line, skip[i]);
		if (!skipped)
			printf("    %s", line);
	}
	if (f)
		fclose(f);
}

static void print_attribute(const char *path, const char *name)
{
	char text[4097];
	struct stat st;
	ssize_t n = -1;
	int fd;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
		return;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n < 0 || n == sizeof(text) - 1)
		return;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == 0x7f || ((unsigned char)text[i] < ' ' && !strchr("\n\t", text[i])))
			return;
	text[n] = '\0';
	printf("    {%s} = %s%s", name, text, n && text[n - 1] == '\n' ? "" : "\n");
}

static bool button(const char *name)
{
	static const char *const names[] = { ".",      "..",	 "uevent", "dev",    "power",
					     "remove", "rescan", "rom",	   "config", "trace" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return starts(name, "reset") || starts(name, "resource");
}

static void print_attributes(const char *dir, const char *folder)
{
	char path[PATH_MAX + 600];
	struct dirent **entries;
	struct stat st;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char name[2 * NAME_MAX + 2];

		snprintf(name, sizeof(name), "%s%s%s", folder, *folder ? "/" : "",
			 entries[i]->d_name);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (button(entries[i]->d_name) || lstat(path, &st)) {
			/* nothing */
		} else if (S_ISREG(st.st_mode)) {
			print_attribute(path, name);
		} else if (S_ISDIR(st.st_mode) && !*folder) {
			snprintf(path, sizeof(path), "%s/%s/uevent", dir, name);
			if (access(path, F_OK))
				print_attributes(dir, name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* Is it listed where programs look for it, and is what they find there this very object? */
static void print_listing(const char *dir, const char *subsystem, bool node)
{
	bool class = starts(subsystem, "/sys/class/");
	char path[2 * PATH_MAX];
	char found[PATH_MAX];

	if (!class && !node)
		return;
	snprintf(path, sizeof(path), "%s/%s", subsystem, class ? "" : "devices");
	if (link_of(path, base(dir), found))
		printf("    listed: %s\n", strcmp(found, dir) ? "as another" : "yes");
	else
		printf("    listed: no\n");
}

static bool is_bridge(const char *dir)
{
	char path[PATH_MAX + 16];
	char class[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/class", dir);
	f = fopen(path, "re");
	if (f && !fgets(class, sizeof(class), f))
		class[0] = '\0';
	if (f)
		fclose(f);
	return starts(class, "0x0604");
}

static void print_device(const char *path)
{
	char subsystem[PATH_MAX];
	char target[PATH_MAX];
	char dir[PATH_MAX];
	char link[64];
	struct stat st;
	int told = 0;

	printf("%s\n", path);
	if (stat(path, &st) || !S_ISCHR(st.st_mode)) {
		printf("  no device\n");
		return;
	}
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(link, dir)) {
		printf("  not in /sys\n");
		return;
	}
	for (; strcmp(dir, "/sys/devices") && told < 5; *strrchr(dir, '/') = '\0') {
		if (!link_of(dir, "subsystem", subsystem))
			continue;
		if (told && is_bridge(dir))
			break;
		printf("  %s: %s\n", base(dir), subsystem);
		if (starts(subsystem, "/sys/class/") && link_of(dir, "device", target))
			printf("    device: %s\n", base(target));
		print_listing(dir, subsystem, !told);
		print_properties(dir);
		print_attributes(dir, "");
		told++;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: pd-identity PATH...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		print_device(argv[i]);
	return 0;
}
