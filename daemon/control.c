// SPDX-License-Identifier: Apache-2.0
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "clock.h"
#include "listener.h"
#include "log.h"

#define WAIT_MS 1000
#define MAX_CLIENTS 16

/* Somebody who waits for an answer. */
struct client {
	struct client *next;
	const struct host *host;
	int fd;
	uint32_t id;
	uint64_t deadline;
	unsigned int waiting;
	char **stats; /* per VM */
};

static struct client *clients;
static unsigned int nclients;
static uint32_t next_id = 1;
static int listener = -1;

int control_open(const struct options *o)
{
	char why[256];

	if (!o->control_given)
		mkdir("/run/paradice", 0755);
	listener = listener_open(o->control, 0660, (gid_t)-1, why);
	if (listener >= 0)
		return listener;
	if (o->control_given) {
		log_error("--control: %s", why);
		return -2;
	}
	log_info("no control socket: %s", why);
	return -1;
}

void control_close(const struct options *o)
{
	if (listener < 0)
		return;
	close(listener);
	unlink(o->control);
}

static void put_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(f, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			fprintf(f, "\\u%04x", *text);
		else
			fputc(*text, f);
	}
	fputc('"', f);
}

static void put_vm(FILE *f, const struct vm *vm, const char *stats)
{
	struct cgroup_use use;

	fputs("{\"name\":", f);
	put_string(f, vm->o->name);
	/* where its VMM is: one of the two */
	fputs(vm->o->xen ? ",\"xen\":" : ",\"socket\":", f);
	put_string(f, vm->o->xen ?: vm->o->socket);
	fprintf(f, ",\"worker\":%d,\"devices\":[", vm->worker);
	for (unsigned int i = 0; i < vm->o->ndevices; i++) {
		fputs(i ? ",{\"path\":" : "{\"path\":", f);
		put_string(f, vm->devices[i].o->path);
		fputs(",\"name\":", f);
		put_string(f, vm->devices[i].o->name);
		fprintf(f, ",\"present\":%s,\"readonly\":%s}", vm->devices[i].id ? "true" : "false",
			vm->devices[i].o->readonly ? "true" : "false");
	}
	fputs("],", f);
	if (cgroup_use(vm->o->name, &use))
		fprintf(f, "\"memory\":%llu,\"tasks\":%llu,", (unsigned long long)use.memory,
			(unsigned long long)use.tasks);
	fprintf(f, "\"stats\":%s}", stats ? stats : "null");
}

static void finish(struct client *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	for (struct client **at = &clients; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	nclients--;
	if (f) {
		fprintf(f, "{\"version\":\"%s\",\"vms\":[", PARADICE_RELEASE);
		for (unsigned int i = 0; i < c->host->nvms; i++) {
			if (i)
				fputc(',', f);
			put_vm(f, &c->host->vms[i], c->stats[i]);
		}
		fputs("]}\n", f);
		fclose(f);
		/* The socket's buffer holds it; who does not read must not hold us up. */
		send(c->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		free(text);
	}
	for (unsigned int i = 0; i < c->host->nvms; i++)
		free(c->stats[i]);
	free(c->stats);
	close(c->fd);
	free(c);
}

void control_accept(const struct host *host)
{
	int size = 1 << 20;
	struct client *c;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	c = nclients < MAX_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
	if (c)
		c->stats = calloc(host->nvms, sizeof(*c->stats));
	if (!c || !c->stats) {
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->host = host;
	c->fd = fd;
	c->id = next_id++;
	if (!next_id)
		next_id = 1;
	c->deadline = now_ms() + WAIT_MS;
	c->next = clients;
	clients = c;
	nclients++;
	for (unsigned int i = 0; i < host->nvms; i++)
		if (vm_ask_stats(&host->vms[i], c->id))
			c->waiting++;
	if (!c->waiting)
		finish(c);
}

void control_stats(struct vm *vm, uint32_t id, const char *text)
{
	for (struct client *c = clients; c; c = c->next) {
		unsigned int i = (unsigned int)(vm - c->host->vms);

		if (c->id != id || c->stats[i])
			continue;
		c->stats[i] = strdup(text);
		if (!--c->waiting)
			finish(c);
		return;
	}
}

int control_tick(void)
{
	uint64_t now = now_ms();
	int next = -1;

	for (struct client *c = clients, *after; c; c = after) {
		after = c->next;
		if (c->deadline <= now) {
			finish(c);
			continue;
		}
		if (next < 0 || c->deadline - now < (uint64_t)next)
			next = (int)(c->deadline - now);
	}
	return next;
}
