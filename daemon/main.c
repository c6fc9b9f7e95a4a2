// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "log.h"
#include "manager.h"
#include "options.h"
#include "weak.h"
#include "worker.h"

int main(int argc, char **argv)
{
	struct options o;

	/* started by the manager, never by a person */
	if (argc == 2 && !strcmp(argv[1], WORKER_ARGUMENT))
		return worker_main();
	options_parse(argc, argv, &o);
	log_setup(NULL, o.level);
	weak_read();
	return manager_run(&o);
}
