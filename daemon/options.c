// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/un.h>
#include <unistd.h>

#include <paradice/protocol.h>

#include "channel.h"

enum {
	OPT_VM = 1,
	OPT_SOCKET,
	OPT_SOCKET_GROUP,
	OPT_XEN,
	OPT_DEVICE,
	OPT_QUEUES,
	OPT_WINDOW,
	OPT_MAX_INFLIGHT,
	OPT_MAX_FILES,
	OPT_MAX_PROCESSES,
	OPT_MEMORY_MAX,
	OPT_SPIN_US,
	OPT_STATS,
	OPT_USER,
	OPT_ALLOW_PFNMAP,
	OPT_ALLOW_PV,
	OPT_ONCE,
	OPT_CONTROL,
	OPT_CGROUP,
	OPT_MIRROR,
	OPT_LOG_LEVEL,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "vm", required_argument, NULL, OPT_VM },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "socket-group", required_argument, NULL, OPT_SOCKET_GROUP },
	{ "xen", required_argument, NULL, OPT_XEN },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "window", required_argument, NULL, OPT_WINDOW },
	{ "max-inflight", required_argument, NULL, OPT_MAX_INFLIGHT },
	{ "spin-us", required_argument, NULL, OPT_SPIN_US },
	{ "max-files", required_argument, NULL, OPT_MAX_FILES },
	{ "max-processes", required_argument, NULL, OPT_MAX_PROCESSES },
	{ "memory-max", required_argument, NULL, OPT_MEMORY_MAX },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "user", required_argument, NULL, OPT_USER },
	{ "allow-pfnmap", no_argument, NULL, OPT_ALLOW_PFNMAP },
	{ "allow-pv", no_argument, NULL, OPT_ALLOW_PV },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "mirror", required_argument, NULL, OPT_MIRROR },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
	"Usage: paradiced [OPTION]... --vm NAME --socket PATH|--xen DOMAIN --device PATH[,OPTION]...\n"
	"                 [--vm ...]\n"
	"Shares device files of this machine with virtual machines.\n"
	"\n"
	"For each VM:\n"
	"  --vm NAME           begins a VM's options; those before the first --vm are defaults\n"
	"  --socket PATH       the vhost-user socket that the VMM connects to\n"
	"  --socket-group NAME|GID\n"
	"                      the group whose processes may connect there, too\n"
	"  --xen DOMAIN        or: the VM is a domain of Xen's, by name or number\n"
	"  --device PATH[,as=/dev/NAME][,ro][,exclusive][,caps=CAP[+CAP]][,cache=wb|wc|uc][,open=manager|mirror]\n"
	"                      shares PATH, under another name, for reading only, with no other VM\n"
	"                      while one has it open, with capabilities for its callers, with\n"
	"                      another caching of its memory\n"
	"      [,allow-ioctl=CMD[+CMD]...][,deny-ioctl=CMD[+CMD]...]\n"
	"                      only these ioctls, or none of these; by name or number; EPERM else\n"
	"      [,fd-in=CMD@WHERE]...[,fd-out=CMD@WHERE]...\n"
	"                      an ioctl that is not known here passes a descriptor, or returns one,\n"
	"                      at that offset of its argument, as the argument, or as the result\n"
	"  --queues N          request queues, 1 to 64 (default 4)\n"
	"  --window SIZE       room for mapped device memory, a power of two (default 256M), or 0\n"
	"  --max-inflight N    operations at once (default 512); EBUSY beyond\n"
	"  --spin-us N         how long a thread at most looks for the next request before it sleeps, in\n"
	"                      microseconds (default 200), or 0; never with less than two processors\n"
	"  --max-files N       open files at once (default 16384); EMFILE beyond\n"
	"  --max-processes N   programs that use devices at once (default 4096); EBUSY beyond\n"
	"  --memory-max SIZE   memory of the host that serving the VM may take (default 2G), or none; it\n"
	"                      ends and begins anew beyond. Needs a control group, see --cgroup\n"
	"  --user NAME|UID     identity of the processes that serve the VM (default: one of its own)\n"
	"  --stats FILE        writes counts there, as JSON, when the VM has gone\n"
	"  --allow-pfnmap      for VMs without KVM: show device memory that KVM before Linux 6.13\n"
	"                      could not\n"
	"  --allow-pv          for --xen where this domain is PV: serve devices whose drivers pin no memory\n"
	"                      of programs; others harm this domain's kernel (docs/xen.md)\n"
	"\n"
	"For all:\n"
	"  --once              ends when the first VM has gone\n"
	"  --control PATH      socket for paradicectl (default " CONTROL_DEFAULT ")\n"
	"  --cgroup PATH       control group (version 2) below which each VM gets its own (default: the\n"
	"                      daemon's, if systemd has delegated it)\n"
	"  --mirror PATH       the mirror program, when it is not where it was installed\n"
	"  --log-level LEVEL   error, warning, info or debug (default info)\n"
	"  --version, --help\n";

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *format, ...)
{
	va_list args;

	fputs("paradiced: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry 'paradiced --help'.\n", stderr);
	exit(2);
}

static void *must(void *p)
{
	if (!p) {
		fputs("paradiced: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (end == text || *end || errno || *text == '-' || v < min || v > max)
		usage("%s: '%s' is not a number from %llu to %llu", option, text,
		      (unsigned long long)min, (unsigned long long)max);
	return v;
}

static uint64_t size(const char *option, const char *text)
{
	unsigned long long v;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*end == 'K')
		shift = 10;
	else if (*end == 'M')
		shift = 20;
	else if (*end == 'G')
		shift = 30;
	if (shift)
		end++;
	if (end == text || *end || errno || *text == '-' || (shift && v >> (63 - shift)))
		usage("%s: '%s' is not a size like 256M", option, text);
	return v << shift;
}

static uint64_t memory_max(const char *text)
{
	uint64_t v = strcmp(text, "none") ? size("--memory-max", text) : 0;

	if (strcmp(text, "none") && v < (16u << 20))
		usage("--memory-max: '%s' is too little: 16M at least, or none", text);
	return v;
}

static uint64_t window_size(const char *text)
{
	uint64_t v = size("--window", text);

	if (v && (v & (v - 1) || v < (1u << 20) || v > (1ull << 40)))
		usage("--window: '%s' is not a power of two from 1M to 1024G, nor 0", text);
	return v;
}

static void user(const char *text, struct vm_option *vm)
{
	struct passwd *pw = getpwnam(text);

	if (pw) {
		vm->uid = pw->pw_uid;
		vm->gid = pw->pw_gid;
	} else if (*text >= '0' && *text <= '9') {
		vm->uid = (uid_t)number("--user", text, 1, 0xfffffffeu);
		vm->gid = (gid_t)vm->uid;
	} else {
		usage("--user: there is no user '%s'", text);
	}
	if (!vm->uid)
		usage("--user: the processes that serve a VM must not run as root");
	vm->user_given = true;
}

static gid_t group(const char *text)
{
	const struct group *gr = getgrnam(text);

	if (gr)
		return gr->gr_gid;
	if (*text < '0' || *text > '9')
		usage("--socket-group: there is no group '%s'", text);
	return (gid_t)number("--socket-group", text, 0, 0xfffffffeu);
}

static uint64_t capabilities(char *list)
{
	uint64_t mask = 0;
	char *save = NULL;

	for (char *name = strtok_r(list, "+", &save); name; name = strtok_r(NULL, "+", &save)) {
		char full[64];
		cap_value_t value;

		snprintf(full, sizeof(full), "%s%s", strncmp(name, "cap_", 4) ? "cap_" : "", name);
		if (cap_from_name(full, &value))
			usage("--device: caps=%s: no such capability (one is net_admin)", name);
		mask |= 1ull << value;
	}
	if (!mask)
		usage("--device: caps= needs a capability, for example caps=net_admin");
	return mask;
}

static void ioctls(struct ioctl_list *list, char *words)
{
	char *save = NULL;

	if (!*words)
		usage("--device: allow-ioctl= and deny-ioctl= need a command, for example TUNSETIFF");
	for (char *word = strtok_r(words, "+", &save); word; word = strtok_r(NULL, "+", &save)) {
		int err = ioctl_list_add(list, word);

		if (err == -E2BIG)
			usage("--device: more than %d ioctls", IOCTL_LIST_MAX);
		if (err)
			usage("--device: '%s' is no ioctl that is known here; give its number (0x...)",
			      word);
	}
}

static void rule(struct vm_option *vm, uint16_t flags, const char *text)
{
	int err = rules_give(&vm->rules, flags, text);

	if (err == -E2BIG)
		usage("--device: more than %d of fd-in= and fd-out=", RULES_GIVEN_MAX / 2);
	if (err == -ENOENT)
		usage("--device: '%s' begins with no ioctl that is known here; give its number (0x...)",
		      text);
	if (err)
		usage("--device: '%s' is not COMMAND@OFFSET, nor COMMAND@argument (fd-in=), COMMAND@result (fd-out=)",
		      text);
}

static char *device_name(const char *path)
{
	const char *name = path;

	if (strncmp(path, "/dev/", 5) || !path[5])
		usage("--device: as=%s: a name in the guest begins with /dev/", path);
	name += 5;
	if (strlen(name) >= sizeof(((struct pd_device *)0)->name))
		usage("--device: '%s' is too long a name for the guest: give a shorter one with as=",
		      path);
	for (const char *p = name; *p; p++) {
		bool start = p == name || p[-1] == '/';

		if ((start && (*p == '.' || *p == '/')) || *p <= ' ' || *p > '~' ||
		    (*p == '/' && !p[1]))
			usage("--device: '%s' cannot be a name in the guest: give one with as=/dev/NAME",
			      path);
	}
	return must(strdup(name));
}

static void device(const char *text, struct vm_option *vm)
{
	struct device_option d = { .caching = -1 };
	char *copy = must(strdup(text));
	char *save = NULL;
	char *path = strtok_r(copy, ",", &save);
	const char *as = NULL;

	if (!path || *path != '/')
		usage("--device: '%s' does not begin with a path like /dev/video0", text);
	for (char *o = strtok_r(NULL, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		if (!strncmp(o, "as=", 3))
			as = o + 3;
		else if (!strcmp(o, "ro"))
			d.readonly = true;
		else if (!strcmp(o, "exclusive"))
			d.exclusive = true;
		else if (!strncmp(o, "caps=", 5))
			d.caps |= capabilities(o + 5);
		else if (!strncmp(o, "allow-ioctl=", 12))
			ioctls(&d.ioctls.allow, o + 12);
		else if (!strncmp(o, "deny-ioctl=", 11))
			ioctls(&d.ioctls.deny, o + 11);
		else if (!strncmp(o, "fd-in=", 6))
			rule(vm, PD_RULE_IN, o + 6);
		else if (!strncmp(o, "fd-out=", 7))
			rule(vm, PD_RULE_OUT, o + 7);
		else if (!strcmp(o, "cache=wb"))
			d.caching = PD_CACHE_WB;
		else if (!strcmp(o, "cache=wc"))
			d.caching = PD_CACHE_WC;
		else if (!strcmp(o, "cache=uc"))
			d.caching = PD_CACHE_UC;
		else if (!strcmp(o, "open=manager"))
			d.opener = OPENER_MANAGER;
		else if (!strcmp(o, "open=mirror"))
			d.opener = OPENER_MIRROR;
		else
			usage("--device %s: unknown option '%s' (there are as=, ro, exclusive, caps=, cache=, open=, allow-ioctl=, deny-ioctl=, fd-in= and fd-out=)",
			      path, o);
	}
	d.path = must(strdup(path));
	d.name = device_name(as ? as : path);
	for (unsigned int i = 0; i < vm->ndevices; i++)
		if (!strcmp(vm->devices[i].name, d.name))
			usage("--device %s: VM '%s' has a /dev/%s already: give another name with as=",
			      d.path, vm->name, d.name);
	vm->devices = must(realloc(vm->devices, (vm->ndevices + 1) * sizeof(d)));
	vm->devices[vm->ndevices++] = d;
	free(copy);
}

static struct vm_option *add_vm(struct options *o, const struct vm_option *defaults,
				const char *name)
{
	struct vm_option *vm;

	if (!*name || strlen(name) > VM_NAME_MAX)
		usage("--vm: a name has 1 to %d characters", VM_NAME_MAX);
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '/')
			usage("--vm: '%s' has a character that a name cannot have", name);
	for (unsigned int i = 0; i < o->nvms; i++)
		if (!strcmp(o->vms[i].name, name))
			usage("--vm: '%s' is given twice", name);
	o->vms = must(realloc(o->vms, (o->nvms + 1) * sizeof(*vm)));
	vm = &o->vms[o->nvms++];
	*vm = *defaults;
	vm->name = must(strdup(name));
	return vm;
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static void check(const struct options *o)
{
	if (!o->nvms)
		usage("no VM given: --vm NAME --socket PATH --device PATH (or --xen DOMAIN)");
	for (unsigned int i = 0; i < o->nvms; i++) {
		const struct vm_option *vm = &o->vms[i];

		if (!vm->socket == !vm->xen)
			usage("VM '%s' has %s --socket %s --xen", vm->name, vm->xen ? "both" : "no",
			      vm->xen ? "and" : "and no");
		if (vm->socket && strlen(vm->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			usage("VM '%s': --socket: '%s' is too long (107 characters at most)",
			      vm->name, vm->socket);
		if (!vm->ndevices)
			usage("VM '%s' has no --device", vm->name);
		for (unsigned int k = 0; k < i; k++)
			if (same(o->vms[k].socket, vm->socket) || same(o->vms[k].xen, vm->xen))
				usage("VMs '%s' and '%s' have the same --%s", o->vms[k].name,
				      vm->name, vm->xen ? "xen" : "socket");
	}
}

void options_parse(int argc, char **argv, struct options *o)
{
	struct vm_option defaults = {
		.queues = 4,
		.window_size = 256u << 20,
		.max_inflight = 512,
		.spin_us = 200,
		.max_files = 16384,
		.max_processes = 4096,
		.memory_max = 2ull << 30,
		.socket_group = (gid_t)-1,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};
	struct vm_option *vm = &defaults;
	int c;
	int level;

	*o = (struct options){ .control = must(strdup(CONTROL_DEFAULT)), .level = LOG_INFO };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		bool of_vm = c == OPT_SOCKET || c == OPT_XEN || c == OPT_DEVICE || c == OPT_STATS;

		if (of_vm && vm == &defaults)
			usage("%s belongs to a VM: give --vm NAME before it", argv[optind - 2]);
		switch (c) {
		case OPT_VM:
			vm = add_vm(o, &defaults, optarg);
			break;
		case OPT_SOCKET:
			vm->socket = must(strdup(optarg));
			break;
		case OPT_SOCKET_GROUP:
			vm->socket_group = group(optarg);
			break;
		case OPT_XEN:
			vm->xen = must(strdup(optarg));
			break;
		case OPT_DEVICE:
			device(optarg, vm);
			break;
		case OPT_QUEUES:
			vm->queues = (uint32_t)number("--queues", optarg, 1, PD_MAX_REQUEST_QUEUES);
			break;
		case OPT_WINDOW:
			vm->window_size = window_size(optarg);
			break;
		case OPT_MAX_INFLIGHT:
			vm->max_inflight = (uint32_t)number("--max-inflight", optarg, 1, 65536);
			break;
		case OPT_SPIN_US:
			vm->spin_us = (uint32_t)number("--spin-us", optarg, 0, 1000000);
			break;
		case OPT_MAX_FILES:
			vm->max_files = (uint32_t)number("--max-files", optarg, 1, 1 << 20);
			break;
		case OPT_MAX_PROCESSES:
			vm->max_processes = (uint32_t)number("--max-processes", optarg, 1, 1 << 20);
			break;
		case OPT_MEMORY_MAX:
			vm->memory_max = memory_max(optarg);
			break;
		case OPT_STATS:
			vm->stats = must(strdup(optarg));
			break;
		case OPT_USER:
			user(optarg, vm);
			break;
		case OPT_ALLOW_PFNMAP:
			vm->allow_pfnmap = true;
			break;
		case OPT_ALLOW_PV:
			vm->allow_pv = true;
			break;
		case OPT_ONCE:
			o->once = true;
			break;
		case OPT_CONTROL:
			free(o->control);
			o->control = must(strdup(optarg));
			o->control_given = true;
			break;
		case OPT_CGROUP:
			free(o->cgroup);
			o->cgroup = must(strdup(optarg));
			break;
		case OPT_MIRROR:
			o->mirror = must(strdup(optarg));
			break;
		case OPT_LOG_LEVEL:
			level = log_level_parse(optarg);
			if (level < 0)
				usage("--log-level: '%s' is not error, warning, info or debug",
				      optarg);
			o->level = (enum log_level)level;
			break;
		case OPT_VERSION:
			printf("paradiced %s (protocol %d)\n", PARADICE_RELEASE, PD_VERSION);
			exit(0);
		case OPT_HELP:
			fputs(help_text, stdout);
			exit(0);
		case ':':
			usage("%s needs a value", argv[optind - 1]);
		default:
			usage("unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind < argc)
		usage("'%s' is not an option", argv[optind]);
	check(o);
}
