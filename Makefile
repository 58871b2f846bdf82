# SPDX-License-Identifier: GPL-2.0-or-later
# GNU make. `make help` lists the targets. Everything that is built goes below $(BUILD).

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
LIBDIR ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share
# systemd and udev read /usr/lib, /usr/local/lib for units and sysusers, udev rules only from /usr/lib and /etc.
UNITDIR ?= $(PREFIX)/lib/systemd/system
# journalctl reads both as well.
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
UDEVRULESDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/udev/rules.d,/etc/udev/rules.d)

# Where dkms looks for the module's source, whatever PREFIX is.
SRCDIR ?= /usr/src/iommud-$(VERSION)

CC ?= gcc
BUILD ?= build
SANITIZE ?=
WERROR ?=

comma := ,
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wvla -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum -Wundef -Wno-unused-parameter
OPTIMIZE := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined -fno-sanitize-recover=all,\
	-O2 -D_FORTIFY_SOURCE=2)
CFLAGS ?= -g
PACKAGES := libsystemd libudev json-c libpci libmd libcap libkmod
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DIOMMUD_VERSION='"$(VERSION)"' -Isrc -Iinclude -I$(BUILD)/gen $(WARNINGS) \
	$(if $(WERROR),-Werror) $(OPTIMIZE) -fstack-protector-strong -fvisibility=hidden -fPIC $(CFLAGS) \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
ALL_LDFLAGS = $(if $(SANITIZE),-fsanitize=address$(comma)undefined) -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpthread

# ---- what the programs are made of: the layers, lowest first; tests/tools/check-layers holds them to it ----
LAYERS := util topology policy hw broker varlink
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(foreach dir,$(1),$(wildcard src/$(dir)/*.c))))
CORE := $(BUILD)/libcore.a
# main() apart, so that tests can link the rest.
DAEMON_MAIN := $(BUILD)/obj/src/daemon/main.o
DAEMON_OBJECTS := $(filter-out $(DAEMON_MAIN),$(call objects,daemon))
HELPER_MAIN := $(BUILD)/obj/src/helper/main.o
HELPER_OBJECTS := $(filter-out $(HELPER_MAIN),$(call objects,helper))
LIBIOMMUD_OBJECTS := $(call objects,libiommud)
IOMMUCTL_OBJECTS := $(call objects,iommuctl)

SONAME := libiommud.so.0
PROGRAMS := $(BUILD)/iommud $(BUILD)/iommud-helper $(BUILD)/iommuctl
LIBRARY := $(BUILD)/$(SONAME)

# make V=1 shows the commands.
ifeq ($(V),)
say = @printf '  %-4s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@);
else
say =
endif

.PHONY: all
all: $(PROGRAMS) $(LIBRARY) $(BUILD)/libiommud.so $(BUILD)/libiommud.a $(BUILD)/libiommud.pc

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The IDL files are the contract; the daemon serves their very text. io.iommud.varlink becomes io_iommud_idl[].
IDL_HEADERS := $(patsubst src/varlink/%,$(BUILD)/gen/%.h,$(wildcard src/varlink/*.varlink))
$(BUILD)/gen/%.varlink.h: src/varlink/%.varlink
	@mkdir -p $(@D)
	@{ echo 'static const char $(subst .,_,$*)_idl[] ='; sed 's/\\/\\\\/g;s/"/\\"/g;s/^/\t"/;s/$$/\\n"/' $<; echo ';'; } >$@.tmp
	@mv $@.tmp $@
$(call objects,varlink): | $(IDL_HEADERS)

# What has the paths in it is made anew when they change: `make` and `make install PREFIX=/usr` may be two calls.
$(BUILD)/paths: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(BINDIR) $(SBINDIR) $(LIBDIR) $(LIBEXECDIR)' | cmp -s - $@ || \
		echo '$(PREFIX) $(BINDIR) $(SBINDIR) $(LIBDIR) $(LIBEXECDIR)' >$@
.PHONY: FORCE
$(BUILD)/obj/src/iommuctl/policy.o: ALL_CFLAGS += -DIOMMUD_SBINDIR='"$(SBINDIR)"'
$(BUILD)/obj/src/iommuctl/policy.o: $(BUILD)/paths

$(CORE): $(call objects,$(LAYERS))
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/iommud: $(DAEMON_MAIN) $(DAEMON_OBJECTS) $(CORE)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/iommud-helper: $(HELPER_MAIN) $(HELPER_OBJECTS) $(call objects,util topology policy)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(LIBRARY): $(LIBIOMMUD_OBJECTS) src/libiommud/libiommud.map
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script,src/libiommud/libiommud.map -o $@ \
		$(LIBIOMMUD_OBJECTS) $(shell pkg-config --libs json-c 2>/dev/null)

$(BUILD)/libiommud.so: $(LIBRARY)
	@ln -sf $(SONAME) $@

$(BUILD)/libiommud.a: $(LIBIOMMUD_OBJECTS)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/libiommud.pc: src/libiommud/libiommud.pc.in Makefile $(BUILD)/paths
	@sed 's#@prefix@#$(PREFIX)#;s#@libdir@#$(LIBDIR)#;s#@version@#$(VERSION)#' $< >$@

$(BUILD)/iommuctl: $(IOMMUCTL_OBJECTS) $(LIBRARY) | $(BUILD)/libiommud.so
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $(IOMMUCTL_OBJECTS) -L$(BUILD) -liommud $(shell pkg-config --libs json-c 2>/dev/null)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- installing ----

substitute = sed -e 's\#@bindir@\#$(BINDIR)\#g' -e 's\#@sbindir@\#$(SBINDIR)\#g' -e 's\#@libexecdir@\#$(LIBEXECDIR)\#g'
MAN1 := $(wildcard src/iommuctl/*.1)
MAN3 := $(wildcard src/libiommud/*.3)
MAN4 := src/kmod/iommud.4
MAN5 := $(wildcard src/policy/*.5 src/daemon/*.5)
MAN8 := $(wildcard src/daemon/*.8 src/helper/*.8)

$(BUILD)/units/%: units/%.in Makefile $(BUILD)/paths
	@mkdir -p $(@D)
	@$(substitute) $< >$@
UNITS := $(BUILD)/units/iommud.service $(BUILD)/units/iommud-helper.service
$(BUILD)/apparmor/%: policy/apparmor/%.in Makefile $(BUILD)/paths
	@mkdir -p $(@D)
	@$(substitute) $< >$@
PROFILES := $(BUILD)/apparmor/iommud $(BUILD)/apparmor/iommud-helper
all: $(UNITS) $(PROFILES)

.PHONY: install
install: all $(BUILD)/dkms.conf
	install -D -m 755 $(BUILD)/iommud $(DESTDIR)$(SBINDIR)/iommud
	install -D -m 755 $(BUILD)/iommud-helper $(DESTDIR)$(LIBEXECDIR)/iommud-helper
	install -D -m 755 $(BUILD)/iommuctl $(DESTDIR)$(BINDIR)/iommuctl
	install -D -m 755 $(LIBRARY) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libiommud.so
	install -D -m 644 $(BUILD)/libiommud.a $(DESTDIR)$(LIBDIR)/libiommud.a
	install -D -m 644 $(BUILD)/libiommud.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libiommud.pc
	install -D -m 644 include/libiommud.h $(DESTDIR)$(PREFIX)/include/libiommud.h
	install -D -m 644 include/uapi/linux/iommud.h $(DESTDIR)$(PREFIX)/include/linux/iommud.h
	install -d $(DESTDIR)$(DATADIR)/iommud
	install -m 644 src/varlink/*.varlink $(DESTDIR)$(DATADIR)/iommud
	install -D -m 644 src/daemon/iommud.catalog $(DESTDIR)$(CATALOGDIR)/iommud.catalog
	install -d $(DESTDIR)$(UNITDIR)
	install -m 644 $(UNITS) units/iommud.socket units/iommud-helper.socket $(DESTDIR)$(UNITDIR)
	install -D -m 644 units/iommud.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/iommud.conf
	install -D -m 644 units/iommud.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/iommud.conf
	install -D -m 644 units/iommud.modules-load $(DESTDIR)$(PREFIX)/lib/modules-load.d/iommud.conf
	install -D -m 644 units/70-iommud.rules $(DESTDIR)$(UDEVRULESDIR)/70-iommud.rules
	install -d $(DESTDIR)$(SYSCONFDIR)/iommud/policy.d
	test -e $(DESTDIR)$(SYSCONFDIR)/iommud/iommud.conf || \
		install -m 644 iommud.conf $(DESTDIR)$(SYSCONFDIR)/iommud/iommud.conf
	install -d $(DESTDIR)$(SYSCONFDIR)/apparmor.d/abstractions
	install -m 644 $(PROFILES) $(DESTDIR)$(SYSCONFDIR)/apparmor.d
	install -m 644 policy/apparmor/iommud-client $(DESTDIR)$(SYSCONFDIR)/apparmor.d/abstractions/iommud-client
	install -d $(DESTDIR)$(DATADIR)/iommud/examples
	install -m 644 policy/examples/*.policy $(DESTDIR)$(DATADIR)/iommud/examples
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man4 \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(MAN3) $(DESTDIR)$(MANDIR)/man3
	install -m 644 $(MAN4) $(DESTDIR)$(MANDIR)/man4
	install -m 644 $(MAN5) $(DESTDIR)$(MANDIR)/man5
	install -m 644 $(MAN8) $(DESTDIR)$(MANDIR)/man8
	install -d $(DESTDIR)$(SRCDIR)/uapi/linux
	install -m 644 src/kmod/*.[ch] src/kmod/Kbuild $(BUILD)/dkms.conf $(DESTDIR)$(SRCDIR)
	install -m 644 include/uapi/linux/iommud.h $(DESTDIR)$(SRCDIR)/uapi/linux
	install -D -m 644 src/iommuctl/iommuctl.bash-completion \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/iommuctl

# ---- the kernel module ----

# Any kernel's build directory; kbuild's own variables (KCFLAGS=, W=, C=, KBUILD_EXTRA_SYMBOLS=, INSTALL_MOD_PATH=) pass through.
KDIR ?= /lib/modules/$(shell uname -r)/build
KMOD := $(abspath $(BUILD)/kmod)
KMOD_SOURCES := $(wildcard src/kmod/*.[ch] src/kmod/Kbuild) include/uapi/linux/iommud.h

# kbuild writes beside its sources: they are copied, each only when it changed.
.PHONY: modules
modules:
	@test -d $(KDIR) || { echo "make modules: no $(KDIR); install linux-headers-$$(uname -r), or say KDIR=" >&2; exit 1; }
	@mkdir -p $(KMOD)/uapi/linux
	@for source in $(KMOD_SOURCES); do \
		case $$source in include/*) target=$(KMOD)/uapi/linux ;; *) target=$(KMOD) ;; esac; \
		cmp -s $$source $$target/$${source##*/} || cp $$source $$target/; done
	$(MAKE) -C $(KDIR) M=$(KMOD) modules

$(BUILD)/dkms.conf: src/kmod/dkms.conf.in Makefile
	@mkdir -p $(@D)
	@sed 's/@version@/$(VERSION)/' $< >$@

.PHONY: modules_install
modules_install: modules
	$(MAKE) -C $(KDIR) M=$(KMOD) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

# ---- the policy module for SELinux ----

# Where the distribution keeps the interfaces of its policy, and their Makefile.
SELINUX_DEVEL ?= /usr/share/selinux/devel
SELINUX_MODULE := $(BUILD)/selinux/iommud.pp

.PHONY: selinux
selinux: $(SELINUX_MODULE)

$(SELINUX_MODULE): $(wildcard policy/selinux/iommud.*)
	@test -f $(SELINUX_DEVEL)/Makefile || { echo "make selinux: no $(SELINUX_DEVEL)/Makefile; install selinux-policy-dev \
	(selinux-policy-devel), or say SELINUX_DEVEL=" >&2; exit 1; }
	@mkdir -p $(@D)
	@cp $^ $(@D)
	$(call say,SE)$(MAKE) --no-print-directory -s -C $(@D) -f $(SELINUX_DEVEL)/Makefile AWK=awk $(@F) >/dev/null

.PHONY: install-selinux
install-selinux: $(SELINUX_MODULE)
	install -D -m 644 $(SELINUX_MODULE) $(DESTDIR)$(DATADIR)/selinux/packages/iommud.pp
	install -D -m 644 policy/selinux/iommud.if $(DESTDIR)$(DATADIR)/selinux/devel/include/distributed/iommud.if

# Without the tools there is no module; everything else works without it.
install: $(if $(wildcard $(SELINUX_DEVEL)/Makefile),install-selinux)

include tests/tests.mk

# ---- everything from a fresh machine ----

# What a user builds with, and what the tests need besides; the VM's own list is tests/vm/packages.host.
BUILD_DEPS := gcc make pkg-config libc6-dev libsystemd-dev libudev-dev libjson-c-dev libpci-dev libmd-dev libcap-dev \
	libkmod-dev
TEST_DEPS := procps clang libclang-rt-14-dev clang-format shellcheck mandoc libcmocka-dev libumockdev-dev umockdev libfuse3-dev \
	fuse3 systemd pci.ids git sparse dkms apparmor
VM_DEPS = $(shell sed 's/\#.*//' tests/vm/packages.host)
ALL_DEPS = $(BUILD_DEPS) $(TEST_DEPS) $(VM_DEPS)
missing = $(shell dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | sed -n 's/^ii *//p' | \
	sort -u >$(or $(TMPDIR),/tmp)/iommud-have.$$$$; printf '%s\n' $(1) | sort -u | \
	comm -23 - $(or $(TMPDIR),/tmp)/iommud-have.$$$$; rm -f $(or $(TMPDIR),/tmp)/iommud-have.$$$$)

.PHONY: deps
deps:
	@set -e; missing="$(call missing,$(ALL_DEPS))"; [ -z "$$missing" ] || { \
		echo "installing:" $$missing; \
		apt-get -o DPkg::Lock::Timeout=300 -q update >/dev/null; \
		DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends \
			$$missing >/dev/null; }

# A fresh make reads pkg-config again, once it is there.
.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory all
	@tests/vm/demo

.PHONY: check
check: deps
	@tests/tools/check

.PHONY: help
help:
	@sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile tests/tests.mk | sort -u

.PHONY: clean
clean:
	rm -rf build
