/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of keys, and finding by name in it. Read only. */
#include "policy/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/nearest.h"
#include "policy/report.h"

const char *const rule_sections[N_SECTIONS] = {
	[SECTION_MATCH] = "Match",   [SECTION_POOL] = "Pool",   [SECTION_HOST] = "Host",
	[SECTION_CLIENT] = "Client", [SECTION_GRANT] = "Grant",
};

/* clang-format off */
const struct key rule_keys[N_KEYS] = {
	[KEY_VENDOR] = { SECTION_MATCH, "Vendor", true, .parse_item = parse_vendor, .fits = vendor_fits },
	[KEY_DEVICE] = { SECTION_MATCH, "Device", true, .parse_item = parse_device, .fits = device_fits },
	[KEY_SUBSYSTEM] = { SECTION_MATCH, "Subsystem", true,
		.parse_item = parse_subsystem, .fits = subsystem_fits },
	[KEY_CLASS] = { SECTION_MATCH, "Class", true, .parse_item = parse_class, .fits = class_fits },
	[KEY_ADDRESS] = { SECTION_MATCH, "Address", true, .parse_item = parse_address, .fits = address_fits },
	[KEY_DRIVER] = { SECTION_MATCH, "Driver", true, .parse_item = parse_driver, .fits = driver_fits },
	[KEY_PATH] = { SECTION_MATCH, "Path", true,
		.commas = true, .may_be_unknown = true, .parse_item = parse_path, .fits = path_fits },
	[KEY_SERIAL] = { SECTION_MATCH, "Serial", true,
		.commas = true, .may_be_unknown = true, .parse_item = parse_serial, .fits = serial_fits },
	[KEY_PHYSICAL_FUNCTION] = { SECTION_MATCH, "PhysicalFunction", true,
		.parse_item = parse_physical_function, .fits = physical_function_fits },
	[KEY_NUMA_NODE] = { SECTION_MATCH, "NumaNode", true, .parse_item = parse_numa_node, .fits = numa_node_fits },
	[KEY_POOL] = { SECTION_MATCH, "Pool", true,
		.may_be_unknown = true, .parse_item = parse_pool, .fits = pool_fits },
	[KEY_USER] = { SECTION_CLIENT, "User", true, .parse_item = parse_user, .fits = user_fits },
	[KEY_GROUP] = { SECTION_CLIENT, "Group", true, .parse_item = parse_group, .fits = group_fits },
	[KEY_UNIT] = { SECTION_CLIENT, "Unit", true,
		.may_be_unknown = true, .parse_item = parse_unit, .fits = unit_fits },
	[KEY_SLICE] = { SECTION_CLIENT, "Slice", true,
		.may_be_unknown = true, .parse_item = parse_slice, .fits = slice_fits },
	[KEY_EXECUTABLE] = { SECTION_CLIENT, "Executable", true,
		.commas = true, .may_be_unknown = true, .parse_item = parse_executable, .fits = executable_fits },
	[KEY_CONTEXT] = { SECTION_CLIENT, "Context", true,
		.commas = true, .may_be_unknown = true, .parse_item = parse_context, .fits = context_fits },
	[KEY_APPARMOR] = { SECTION_CLIENT, "AppArmor", true,
		.commas = true, .may_be_unknown = true, .parse_item = parse_apparmor, .fits = apparmor_fits },
	[KEY_POOL_NAME] = { SECTION_POOL, "Name",   false, .parse_value = parse_pool_name },
	[KEY_NUM_VFS]   = { SECTION_HOST, "NumVFs", false, .parse_value = parse_num_vfs },
	[KEY_ACTION]      = { SECTION_GRANT, "Action",     false, .parse_value = parse_action },
	[KEY_GROUP_SCOPE] = { SECTION_GRANT, "GroupScope", false, .parse_value = parse_group_scope },
	[KEY_BYSTANDERS]  = { SECTION_GRANT, "Bystanders", false, .parse_value = parse_bystanders },
	[KEY_ALLOWED_DRIVERS] = { SECTION_GRANT, "AllowedDrivers", true, .parse_value = parse_allowed_driver },
	[KEY_BACKEND]     = { SECTION_GRANT, "Backend",    true,  .parse_value = parse_backend },
	[KEY_LABEL]       = { SECTION_GRANT, "Label",      false, .parse_value = parse_label },
	[KEY_FORCE]       = { SECTION_GRANT, "Force",      false, .parse_value = parse_force },
	[KEY_ON_VIOLATION] = { SECTION_GRANT, "OnViolation", false, .parse_value = parse_on_violation },
	[KEY_LATE_JOINER] = { SECTION_GRANT, "LateJoiner", false, .parse_value = parse_late_joiner },
	[KEY_ON_RELEASE_TIMEOUT] = { SECTION_GRANT, "OnReleaseTimeout", false, .parse_value = parse_on_release_timeout },
	[KEY_RELEASE_TIMEOUT] = { SECTION_GRANT, "ReleaseTimeoutSec", false, .parse_value = parse_release_timeout },
	[KEY_RESET]       = { SECTION_GRANT, "Reset",      false, .parse_value = parse_reset },
	[KEY_ISOLATION]   = { SECTION_GRANT, "Isolation",  false, .parse_value = parse_isolation },
};
/* clang-format on */

enum rule_section find_section(const char *name, struct complaint *complaint)
{
	struct nearest nearest;
	const char *hint;

	nearest_begin(&nearest, name);
	for (enum rule_section i = 0; i < N_SECTIONS; i++) {
		if (strcmp(rule_sections[i], name) == 0)
			return i;
		nearest_offer(&nearest, rule_sections[i]);
	}
	hint = nearest_get(&nearest);
	if (hint)
		complain(complaint, 0, "unknown section [%.*s]; did you mean [%s]?", quote_length(name), name, hint);
	else
		complain(complaint, 0, "unknown section [%.*s]; there are [Match], [Pool], [Host], [Client], [Grant]",
			 quote_length(name), name);
	return N_SECTIONS;
}

enum rule_key section_needs(enum rule_section section)
{
	switch (section) {
	case SECTION_POOL:
		return KEY_POOL_NAME;
	case SECTION_HOST:
		return KEY_NUM_VFS;
	case SECTION_GRANT:
		return KEY_ACTION;
	case SECTION_MATCH:
	case SECTION_CLIENT:
	case N_SECTIONS:
		break;
	}
	return N_KEYS;
}

static void list_keys(enum rule_section section, char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (enum rule_key i = 0; i < N_KEYS && used < size; i++)
		if (rule_keys[i].section == section)
			used += snprintf(buffer + used, size - used, "%s%s", used ? ", " : "", rule_keys[i].name);
}

static void complain_key(enum rule_section section, const char *name, struct complaint *complaint)
{
	const char *in = rule_sections[section];
	char all[320];

	for (enum rule_key i = 0; i < N_KEYS; i++)
		if (strcmp(rule_keys[i].name, name) == 0) {
			complain(complaint, 0, "key '%s' does not belong in [%s] but in [%s]", name, in,
				 rule_sections[rule_keys[i].section]);
			return;
		}
	list_keys(section, all, sizeof(all));
	if (complaint->meant != N_KEYS && rule_keys[complaint->meant].section == section)
		complain(complaint, 0, "unknown key '%.*s' in [%s]; did you mean '%s'?", quote_length(name), name, in,
			 rule_keys[complaint->meant].name);
	else if (complaint->meant != N_KEYS)
		complain(complaint, 0, "unknown key '%.*s' in [%s]; did you mean '%s', which belongs in [%s]?",
			 quote_length(name), name, in, rule_keys[complaint->meant].name,
			 rule_sections[rule_keys[complaint->meant].section]);
	else
		complain(complaint, 0, "unknown key '%.*s' in [%s], which takes %s", quote_length(name), name, in, all);
}

/* Of the section's own keys (or of the others) the nearest to the name, N_KEYS: none is near enough. */
static enum rule_key find_nearest(enum rule_section section, bool own, const char *name)
{
	enum rule_key meant = N_KEYS;
	struct nearest nearest;
	const char *hint;

	nearest_begin(&nearest, name);
	for (enum rule_key i = 0; i < N_KEYS; i++) {
		if ((rule_keys[i].section == section) != own)
			continue;
		nearest_offer(&nearest, rule_keys[i].name);
		hint = nearest_get(&nearest);
		if (hint && strcmp(hint, rule_keys[i].name) == 0)
			meant = i;
	}
	return meant;
}

enum rule_key find_key(enum rule_section section, const char *name, struct complaint *complaint)
{
	for (enum rule_key i = 0; i < N_KEYS; i++)
		if (rule_keys[i].section == section && strcmp(rule_keys[i].name, name) == 0)
			return i;
	complaint->meant = find_nearest(section, true, name);
	if (complaint->meant == N_KEYS)
		complaint->meant = find_nearest(section, false, name);
	complain_key(section, name, complaint);
	return N_KEYS;
}

int key_parse_item(enum rule_key key, const char *text, struct item *ret, struct complaint *complaint)
{
	bool negated = text[0] == '!';
	int r;

	if (negated && text[1] == '\0')
		return complain(complaint, 0, "'!' excludes nothing: write it right before a value");
	r = rule_keys[key].parse_item(text + negated, ret, complaint);
	if (r == -EINVAL)
		complaint->offset += negated;
	if (r < 0)
		return r;
	if (negated && ret->kind == ITEM_ANY)
		return complain(complaint, 0, "'!*' excludes everything: this can never match");
	ret->negated = negated;
	return 0;
}
