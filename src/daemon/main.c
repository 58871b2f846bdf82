/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdlib.h>

#include "daemon/check.h"
#include "daemon/list-policy.h"
#include "daemon/manager.h"
#include "daemon/test-policy.h"
#include "util/log.h"

/* The helper would answer later than we do, and what it found out would reach nobody. */
static void check_timeouts(const struct config *config)
{
	if (config->prepare_timeout_usec <= config->worker_timeout_usec)
		log_warning(
			"PrepareTimeoutSec= of iommud.conf is not longer than WorkerTimeoutSec=: clients whose device a "
			"driver does not let go of will not be told at which step, nor by whom it is held");
}

static int load_config(const struct options *options, struct config *config)
{
	int r = config_start(options->config, config);

	if (r == 0)
		check_timeouts(config);
	return r;
}

int main(int argc, char **argv)
{
	struct manager *manager = NULL;
	struct options options;
	struct config config;
	int r;

	/* Whoever reads our log by a pipe may go. */
	signal(SIGPIPE, SIG_IGN);
	options_parse(argc, argv, &options);
	log_init("iommud", options.log_level);
	if (options.check_policy)
		return check_policy(&options);
	if (options.list_policy)
		return list_policy(&options);
	if (options.test_policy)
		return test_policy(&options);
	r = load_config(&options, &config);
	if (r == 0)
		r = manager_new(&options, &config, &manager);
	if (r == 0)
		r = manager_run(manager);
	manager_free(manager);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
