// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's rules: where ioctls' arguments hold descriptors. Fetched once, when a host starts.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "core.h"
#include "rules.h"
#include "weak.h"

/* asked for at once */
#define PD_RULES_BATCH 64
/* of one command */
#define PD_RULES_MAX 32

static unsigned long pd_rules_key(unsigned int cmd, bool compat, bool grows)
{
	if (grows)
		cmd &= ~IOCSIZE_MASK;
	return cmd | (unsigned long)compat << 32 | (unsigned long)grows << 33;
}

/* adds @rule to those of its command; what makes no sense is left out */
static int pd_rules_add(struct pd_host *host, const struct pd_rule *rule)
{
	u16 flags = le16_to_cpu(rule->flags), nconds = le16_to_cpu(rule->nconds);
	unsigned long key =
		pd_rules_key(le32_to_cpu(rule->cmd), flags & PD_RULE_COMPAT, flags & PD_RULE_GROWS);
	struct pd_rules *old = xa_load(&host->rules, key), *new;
	unsigned int i, n = old ? old->n : 0;
	struct pd_fd_rule *to;
	void *was;

	if ((nconds > PD_RULE_CONDS && !PD_WEAK(CONDS)) || n == PD_RULES_MAX ||
	    !(flags & PD_RULE_IN) == !(flags & PD_RULE_OUT)) {
		dev_warn(host->parent, "a rule of the host's for ioctl %#x is left out\n",
			 le32_to_cpu(rule->cmd));
		return 0;
	}
	new = kzalloc(struct_size(new, rule, n + 1), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (old)
		memcpy(new->rule, old->rule, n * sizeof(*new->rule));
	new->n = n + 1;
	to = &new->rule[n];
	to->flags = flags;
	to->offset = le16_to_cpu(rule->offset);
	to->array = le16_to_cpu(rule->array);
	to->count = le16_to_cpu(rule->count);
	to->stride = le16_to_cpu(rule->stride);
	to->nconds = nconds;
	for (i = 0; i < nconds; i++) {
		to->cond[i].offset = le16_to_cpu(rule->cond[i].offset);
		to->cond[i].negate = le16_to_cpu(rule->cond[i].flags) & 1;
		to->cond[i].mask = le32_to_cpu(rule->cond[i].mask);
		to->cond[i].value = le32_to_cpu(rule->cond[i].value);
	}
	was = xa_store(&host->rules, key, new, GFP_KERNEL);
	if (xa_is_err(was)) {
		kfree(new);
		return xa_err(was);
	}
	kfree(old); /* no device is there yet: nobody looks */
	return 0;
}

/* the rules from @first on; how many there were, or a negative errno */
static long pd_rules_ask(struct pd_host *host, u32 first)
{
	const size_t size = PD_RULES_BATCH * sizeof(struct pd_rule);
	struct pd_request *r = pd_req_new(host, PD_OP_RULES, NULL);
	const struct pd_rule *rules;
	long ret, i, err;

	if (!r)
		return -ENOMEM;
	ret = pd_req_tail(r, size);
	if (ret)
		goto out;
	r->req.u.rules.first = cpu_to_le32(first);
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (ret < 0)
		goto out;
	rules = r->tail;
	if ((ret > PD_RULES_BATCH || r->len < sizeof(r->resp) + ret * sizeof(*rules)) &&
	    !PD_WEAK(RULES)) {
		ret = -EPROTO;
		goto out;
	}
	for (i = 0; i < ret; i++) {
		struct pd_rule rule = rules[i];

		err = pd_rules_add(host, &rule);
		if (err) {
			ret = err;
			break;
		}
	}
out:
	pd_req_free(r);
	return ret;
}

/* fetches all rules of a host that has no devices yet; may sleep. 0 or a negative errno */
int pd_rules_fetch(struct pd_host *host)
{
	u32 first = 0;
	long n;

	do {
		n = pd_rules_ask(host, first);
		if (n < 0)
			return n;
		first += n;
	} while (n && (first <= PD_MAX_RULES || PD_WEAK(MANY)));
	return 0;
}

void pd_rules_free(struct pd_host *host)
{
	struct pd_rules *rules;
	unsigned long key;

	xa_for_each(&host->rules, key, rules)
		kfree(rules);
	xa_destroy(&host->rules);
}

/* those of a command, NULL without any */
const struct pd_rules *pd_rules_find(struct pd_host *host, unsigned int cmd, bool compat)
{
	return xa_load(&host->rules, pd_rules_key(cmd, compat, false)) ?:
		       xa_load(&host->rules, pd_rules_key(cmd, compat, true));
}
