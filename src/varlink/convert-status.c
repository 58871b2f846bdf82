/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answer of GetStatus: the kernel module, and what is weaker than it could be. */
#include "hw/ownership.h"
#include "util/cleanup.h"
#include "util/json-build.h"
#include "varlink/convert.h"
#include "varlink/session.h"

static const struct {
	enum iommud_feature feature;
	const char *name;
} features[] = {
	{ IOMMUD_FEATURE_PARK, "park" },     { IOMMUD_FEATURE_IOMMUFD, "iommufd" },
	{ IOMMUD_FEATURE_DENIAL, "denial" }, { IOMMUD_FEATURE_SINGLETON, "singleton" },
	{ IOMMUD_FEATURE_LABELS, "labels" }, { IOMMUD_FEATURE_NODE_LABELS, "nodeLabels" },
};

static json_object *feature_names(const struct ownership *module)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (ownership_can(module, features[i].feature))
			json_build_text(&list, NULL, features[i].name);
	return json_build_end(&list);
}

static json_object *kernel_module(const struct service *service)
{
	const struct ownership *module = broker_get_module(service->broker);
	struct json_build build = json_build_object();

	json_build_text(&build, "use", service->module_wanted);
	json_build_bool(&build, "loaded", module != NULL);
	json_build_number_or_null(&build, "abiVersion", module ? (int64_t)module->abi_version : -1);
	json_build_add(&build, "features", feature_names(module));
	return json_build_end(&build);
}

static json_object *weaknesses(const struct broker *broker)
{
	const char *texts[GUARANTEES_MAX];
	size_t n = broker_weaknesses(broker, texts);
	struct json_build list = json_build_array();

	for (size_t i = 0; i < n; i++)
		json_build_text(&list, NULL, texts[i]);
	return json_build_end(&list);
}

json_object *convert_status(const struct service *service)
{
	struct json_build build = json_build_object();

	json_build_add(&build, "kernelModule", kernel_module(service));
	json_build_add(&build, "weaknesses", weaknesses(service->broker));
	return json_build_end(&build);
}
