// SPDX-License-Identifier: Apache-2.0
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "session.h"
#include "window.h"

static void add(struct mirror_stats *a, const struct mirror_stats *b)
{
	a->mirrors_made += b->mirrors_made;
	a->calls += b->calls;
	a->faults += b->faults;
	a->faults_asked += b->faults_asked;
	a->faults_refused += b->faults_refused;
	a->pages_mapped += b->pages_mapped;
	a->pages_dropped += b->pages_dropped;
	a->device_maps += b->device_maps;
	a->cancels += b->cancels;
}

void stats_add_pool(struct worker *w, struct mirror_pool *pool)
{
	struct mirror_stats m;

	mirror_pool_stats(pool, &m);
	pthread_mutex_lock(&w->counts.lock);
	add(&w->counts.mirrors, &m);
	pthread_mutex_unlock(&w->counts.lock);
}

void stats_format(struct worker *w, char *out, size_t size)
{
	struct counts *c = &w->counts;
	struct session *s = session_get(w);
	struct mirror_stats m;
	struct mirror_stats live = { 0 };
	size_t files = 0;
	unsigned int inflight = 0;
	FILE *f = fmemopen(out, size, "w");
	const char *comma = "";

	pthread_mutex_lock(&c->lock);
	m = c->mirrors;
	pthread_mutex_unlock(&c->lock);
	if (s) {
		mirror_pool_stats(s->pool, &live);
		add(&m, &live);
		pthread_mutex_lock(&s->lock);
		files = s->files.count;
		pthread_mutex_unlock(&s->lock);
		inflight = atomic_load(&s->inflight);
		session_put(s);
	}
	if (!f) {
		snprintf(out, size, "{}");
		return;
	}
	fputs("{\"operations\":{", f);
	for (unsigned int op = 0; op < sizeof(c->ops) / sizeof(c->ops[0]); op++) {
		const char *name = dispatch_op_name(op);

		if (!c->ops[op] || !name)
			continue;
		fprintf(f, "%s\"%s\":%llu", comma, name, (unsigned long long)c->ops[op]);
		comma = ",";
	}
	fputc('}', f);
#define FIELD(name, value) fprintf(f, ",\"" name "\":%llu", (unsigned long long)(value))
	FIELD("faults", c->faults);
	FIELD("faults_refused", m.faults_refused);
	FIELD("pages_mapped", m.pages_mapped);
	FIELD("pages_dropped", m.pages_dropped);
	FIELD("maps", c->maps);
	FIELD("windows", c->windows);
	FIELD("device_maps", m.device_maps);
	/* messages: what is read and written is not, drivers work on the guest's own pages */
	FIELD("bytes_copied", gmem_copied(w->mem));
	FIELD("bytes_read", c->bytes_read);
	FIELD("bytes_written", c->bytes_written);
	FIELD("mirrors", m.mirrors_made);
	FIELD("calls", m.calls);
	FIELD("cancels", m.cancels);
	FIELD("malformed", c->malformed);
	FIELD("refused", c->refused);
	FIELD("refused_files", c->refused_files);
	FIELD("refused_processes", c->refused_processes);
	FIELD("refused_ioctls", c->refused_ioctls);
	FIELD("live_mirrors", live.mirrors_live);
	FIELD("live_files", files);
	FIELD("live_windows", windows_count(w->windows));
	FIELD("inflight", inflight);
#undef FIELD
	fputc('}', f);
	fclose(f);
}

void stats_send(struct worker *w, uint32_t id)
{
	struct channel_msg *msg;
	int channel = w->channel;

	if (channel < 0)
		return;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return;
	msg->type = CHANNEL_STATS;
	msg->id = id;
	stats_format(w, msg->u.text, sizeof(msg->u.text));
	channel_send(channel, msg, CHANNEL_HEAD + strlen(msg->u.text) + 1, NULL, 0, 1000);
	free(msg);
}
