/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/message-ids.h"

#include <string.h>

#include "util/cleanup.h"

/* clang-format off */
const struct message_id message_ids[] = {
	{ "leaseGranted",        "398557c53a2d40dbbf4c993b1ce43b29", false },
	{ "leaseReleased",       "947e3e24c07c4e71921ff028fc2a7db2", false },
	{ "leaseDenied",         "cef604ae286c4e47935389d320b559d5", true },
	{ "labelRefused",        "90476f03ae5346eda8abe7abf878dba9", true },
	{ "leaseFailed",         "d7e68b7cfe314ae383feb00c36a0a639", false },
	{ "leaseLingering",      "af9027f284ed42e2913808d32425b5f6", false },
	{ "releaseRequested",    "870fa1c37f734b2aad7fb7a8dbce9c59", false },
	{ "clientSignalled",     "c3e9f54ec0d14447b2ad65364f31be6e", false },
	{ "releaseIgnored",      "5aaa5c6cc45143bcbbbae0545eb82302", false },
	{ "violation",           "94f3d571264748158018413cfa0fb4fc", false },
	{ "violationEnded",      "810cd47d29764806a73738da119da855", false },
	{ "driverRefused",       "3e270e3d5c1240c59d6637f27c3b32eb", false },
	{ "deviceLost",          "673dfc0776324d45a7488b5e692bebef", false },
	{ "deviceQuarantined",   "1fc02a9091b64415b51316cb7137fd72", false },
	{ "quarantineEnded",     "680f0468c7c54887bbaca9bfb97c4fd9", false },
	{ "restoreFailed",       "f454fde14b1e4d87b8f6b37298073aaf", false },
	{ "manageDenied",        "7d027912a9234b299485f3a3778e9b64", true },
	{ "policyLoaded",        "c212adf478f64c6a9d6f52f8df23d4f7", false },
	{ "policyRefused",       "317d96bf92f54f7282d2b7f39d809524", false },
	{ "restarted",           "6dfeca31d47346cb8650f3a240fc43ae", false },
	{ "refusalsSuppressed",  "bb7a4ec209e9461cb30a9c466769a077", false },
	/* Without an id, but not to be had without a limit either. */
	{ "leaseWaiting",        NULL, true },
	{ "waitAbandoned",       NULL, true },
};
/* clang-format on */

const size_t n_message_ids = ARRAY_SIZE(message_ids);

const struct message_id *message_id_find(const char *event)
{
	for (size_t i = 0; i < n_message_ids; i++)
		if (strcmp(message_ids[i].event, event) == 0)
			return &message_ids[i];
	return NULL;
}
