// SPDX-License-Identifier: Apache-2.0
/* What a guest's module asks for, and programs with page tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"

static struct fe_page *find_page(struct fe_mm *mm, uint64_t addr)
{
	for (struct fe_page *p = mm->pages; p; p = p->next)
		if (p->addr == (addr & ~(uint64_t)(PD_PAGE_SIZE - 1)))
			return p;
	return NULL;
}

int64_t fe_wait(struct fe *f, struct fe_call *c, int ms)
{
	for (;;) {
		int64_t ret = fe_wait_raw(f, c, ms);
		struct fe_page *page;
		struct pd_pages run;

		if (ret == -ETIME || c->resp.status != PD_ST_FAULT)
			return ret;
		c->mm->faults++;
		page = find_page(c->mm, c->resp.u.fault.addr);
		if (!page || (c->resp.u.fault.flags & PD_FAULT_WRITE && !page->write)) {
			fe_continue(f, c, -EFAULT, NULL, 0, NULL);
			continue;
		}
		run = (struct pd_pages){ page->addr, page->frame, 1,
					 page->write ? PD_PAGES_WRITE : 0 };
		fe_continue(f, c, 0, &run, 1, NULL);
	}
}

int64_t fe_control(struct fe *f, struct pd_req *req, struct fe_call *c)
{
	fe_submit(f, c, PD_QUEUE_CONTROL, req, NULL, NULL, NULL);
	return fe_wait(f, c, 5000);
}

int64_t fe_call(struct fe *f, struct fe_mm *mm, struct pd_req *req, const struct pd_range *vecs)
{
	struct fe_call c = { .mm = mm };

	req->mm = mm ? mm->id : 0;
	fe_submit(f, &c, mm ? mm->queue : PD_QUEUE_REQUEST, req, NULL, NULL, vecs);
	return fe_wait(f, &c, 5000);
}

int64_t fe_mm_create(struct fe *f, struct fe_mm *mm)
{
	struct pd_req req = {
		.op = PD_OP_MM_CREATE,
		.u.mm_create = { .hole = FE_HOLE,
				 .hole_len = PD_HOLE_SIZE,
				 .pid = 4711,
				 .comm = "prog" },
	};
	struct fe_call c = { 0 };

	memset(mm, 0, sizeof(*mm));
	mm->id = req.mm = f->next_mm++;
	mm->queue = (unsigned int)(PD_QUEUE_REQUEST + mm->id % (FE_QUEUES - PD_QUEUE_REQUEST));
	return fe_control(f, &req, &c);
}

int64_t fe_mm_destroy(struct fe *f, struct fe_mm *mm)
{
	struct pd_req req = { .op = PD_OP_MM_DESTROY, .mm = mm->id };
	struct fe_call c = { 0 };

	while (mm->pages) {
		struct fe_page *p = mm->pages;

		mm->pages = p->next;
		free(p);
	}
	return fe_control(f, &req, &c);
}

void fe_mm_add(struct fe *f, struct fe_mm *mm, uint64_t addr, unsigned int n, bool write)
{
	uint64_t frame = fe_frames(f, n);

	for (unsigned int i = 0; i < n; i++) {
		struct fe_page *p = calloc(1, sizeof(*p));

		if (!p)
			abort();
		p->addr = addr + (uint64_t)i * PD_PAGE_SIZE;
		p->frame = frame + i;
		p->write = write;
		p->next = mm->pages;
		mm->pages = p;
	}
}

void *fe_mm_at(struct fe *f, struct fe_mm *mm, uint64_t addr)
{
	struct fe_page *p = find_page(mm, addr);

	return p ? (uint8_t *)fe_frame(f, p->frame) + addr % PD_PAGE_SIZE : NULL;
}

int64_t fe_dev_open(struct fe *f, uint32_t device, uint32_t oflags)
{
	struct pd_req req = { .op = PD_OP_OPEN, .oflags = oflags, .u.open.device = device };
	struct fe_call c = { 0 };
	int64_t ret;

	fe_submit(f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	ret = fe_wait(f, &c, 5000);
	return ret < 0 ? ret : (int64_t)c.resp.u.open.file;
}

int64_t fe_release(struct fe *f, uint64_t file)
{
	struct pd_req req = { .op = PD_OP_RELEASE, .file = file };

	return fe_call(f, NULL, &req, NULL);
}

static int64_t rw(struct fe *f, struct fe_mm *mm, uint16_t op, uint64_t file, uint64_t addr,
		  uint64_t len)
{
	struct pd_req req = { .op = op, .file = file, .nvecs = 1, .oflags = 2 };
	struct pd_range vec = { addr, len };

	return fe_call(f, mm, &req, &vec);
}

int64_t fe_read(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len)
{
	return rw(f, mm, PD_OP_READ, file, addr, len);
}

int64_t fe_write(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len)
{
	return rw(f, mm, PD_OP_WRITE, file, addr, len);
}

int64_t fe_ioctl(struct fe *f, struct fe_mm *mm, uint64_t file, uint32_t cmd, uint64_t arg)
{
	struct pd_req req = {
		.op = PD_OP_IOCTL, .file = file, .oflags = 2, .u.ioctl = { .arg = arg, .cmd = cmd }
	};

	return fe_call(f, mm, &req, NULL);
}

int64_t fe_mmap(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len,
		uint32_t prot, struct fe_call *c)
{
	struct pd_req req = { .op = PD_OP_MMAP,
			      .file = file,
			      .mm = mm->id,
			      .oflags = 2,
			      .u.mmap = { .addr = addr, .len = len, .prot = prot } };

	*c = (struct fe_call){ .mm = mm };
	fe_submit(f, c, mm->queue, &req, NULL, NULL, NULL);
	return fe_wait(f, c, 5000);
}

int64_t fe_window(struct fe *f, uint16_t op, uint64_t map, uint64_t offset, uint64_t len,
		  uint64_t at)
{
	struct pd_req req = {
		.op = op, .u.window = { .map = map, .offset = offset, .len = len, .window = at }
	};

	return fe_call(f, NULL, &req, NULL);
}

int64_t fe_cancel(struct fe *f, uint64_t tag, uint32_t flags)
{
	struct pd_req req = { .op = PD_OP_CANCEL, .u.cancel = { .tag = tag, .flags = flags } };
	struct fe_call c = { 0 };

	return fe_control(f, &req, &c);
}
