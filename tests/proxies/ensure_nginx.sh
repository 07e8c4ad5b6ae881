#!/usr/bin/env bash
# Find an nginx for the tests behind proxies; as root on Debian, install one. Never fails: without one those tests skip.
set -u
command -v nginx >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing nginx for the tests behind proxies"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light; } \
    >/dev/null 2>&1
fi
command -v nginx >/dev/null 2>&1 || echo "no nginx found or installed: the tests behind proxies will be skipped"
exit 0
