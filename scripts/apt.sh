# Debian's packages, from where this machine has its own. Sourced by the scripts that
# fetch or install some.

# uri_of_debian: where this machine gets its own Debian release from.
uri_of_debian() {
	local release uri
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[ -n "$release" ] || die "this is not Debian: /etc/os-release has no VERSION_CODENAME; LINUX=path still needs Debian 12 or 13"
	uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | awk -v r="$release" '$1 == r { print $2; exit }')
	[ -n "$uri" ] || die "apt has no source for $release on this machine: see /etc/apt/sources.list and sources.list.d"
	echo "$uri"
}

# deb822 SUITE...: a source stanza for these suites.
deb822() {
	local uri
	uri=$(uri_of_debian)
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$uri" "$*" /usr/share/keyrings/debian-archive-keyring.gpg
}

install_host_packages() {
	local missing=() p
	for p in git xz-utils util-linux mmdebstrap debian-archive-keyring; do
		dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
	done
	apt-get -q -o APT::Update::Error-Mode=any update ||
		die "cannot read this machine's package lists: is there a network?"
	if [ ${#missing[@]} -gt 0 ]; then
		DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
	fi
}

# private_apt DIR SUITE...: make a state of apt's own in DIR, with these suites, and set
# opts to the options for it, so that the machine's sources stay as they are.
private_apt() {
	local dir=$1
	shift
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/download"
	deb822 "$@" >"$dir/private.sources"
	opts=(-q -o Dir::Etc::sourcelist="$dir/private.sources" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root)
	apt-get "${opts[@]}" -o APT::Update::Error-Mode=any update ||
		die "cannot read the package lists of $*: is there a network?"
}

# debian_root ROOT LIST [OPTION]...: make a root of the tools' release, with the packages
# that LIST names, one a line. It appears when it is complete. The packages give the root a
# date of years ago, at which the setup of another clone would remove it.
debian_root() {
	local root=$1 list=$2 tmp=$1.$$ packages
	shift 2
	# shellcheck disable=SC2064 # expanded now: the variable is local
	trap "rm -rf '$tmp'" EXIT
	mkdir -p "$tmp"
	[ -x "$(command -v mmdebstrap)" ] || install_host_packages
	packages=$(sed 's/#.*//' "$list" | tr -s ' \n' ',' | sed 's/^,//; s/,$//')
	deb822 "$TOOLS_SUITE" "$TOOLS_SUITE-updates" >"$tmp/sources"
	mmdebstrap --variant=minbase --mode=root --include="$packages" "$@" "$TOOLS_SUITE" "$tmp/root" "$tmp/sources"
	inputs_done "$tmp/root/.packages" "$list"
	touch "$tmp/root"
	rm -rf "$root"
	mv "$tmp/root" "$root"
}
