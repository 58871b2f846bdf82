/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/check.h"
#include "daemon/manager.h"
#include "util/log.h"

#define DEFAULT_CONFIG "/etc/iommud/iommud.conf"

static int load_config(const struct options *options, struct config *config)
{
	const char *path = options->config ? options->config : DEFAULT_CONFIG;
	int r;

	config_set_defaults(config);
	r = config_load(path, config);
	if (r == -ENOENT && !options->config)
		return 0;
	if (r < 0 && r != -EINVAL)
		log_error("%s: %s", path, strerror(-r));
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
	r = load_config(&options, &config);
	if (r == 0)
		r = manager_new(&options, &config, &manager);
	if (r == 0)
		r = manager_run(manager);
	manager_free(manager);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
