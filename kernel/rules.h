/* SPDX-License-Identifier: GPL-2.0-only */
/* Where ioctls' arguments hold descriptors, as the host says; descriptors that are passed. */
#ifndef PARADICE_RULES_H
#define PARADICE_RULES_H

#include <linux/types.h>

#include <paradice/protocol.h>

struct file;
struct pd_host;
struct pd_mm;
struct pd_request;

/**
 * struct pd_rules - the rules of one command, in the host's words but checked and in our byte order
 * @n: entries of @rule
 * @rule: of them
 *
 * In struct pd_host.rules by pd_rules_key(); constant until the host is freed.
 */
struct pd_rules {
	unsigned int n;
	struct pd_fd_rule {
		u16 flags; /* PD_RULE_* */
		u16 offset;
		u16 array;
		u16 count;
		u16 stride;
		u16 nconds;
		struct pd_fd_cond {
			u16 offset;
			bool negate;
			u32 mask;
			u32 value;
		} cond[PD_RULE_CONDS];
	} rule[];
};

/* rules.c */
int pd_rules_fetch(struct pd_host *host);
void pd_rules_free(struct pd_host *host);
const struct pd_rules *pd_rules_find(struct pd_host *host, unsigned int cmd, bool compat);

/**
 * struct pd_fds - the descriptors of one ioctl
 * @rules: of its command
 * @arg: its argument
 * @size: bytes of it, as the command says
 * @compat: of a 32-bit program
 * @n: entries of @fd and @files
 * @fd: what goes in
 * @files: behind them, each counted; NULL for what is not ours
 */
struct pd_fds {
	const struct pd_rules *rules;
	u64 arg;
	unsigned int size;
	bool compat;
	unsigned int n;
	struct pd_fd fd[PD_MAX_FDS];
	struct file *files[PD_MAX_FDS];
};

/* fds.c */
int pd_fds_in(struct pd_fds *fds, struct pd_request *r);
long pd_fds_out(struct pd_fds *fds, struct file *file, struct pd_mm *m, long result);
void pd_fds_free(struct pd_fds *fds);

/* anon.c */
struct file *pd_anon_file(struct pd_host *host, const struct pd_resp_open *open);
int pd_anon_init(void);
void pd_anon_exit(void);

#endif
