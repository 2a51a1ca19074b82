#!/usr/bin/env bash
# Connects an encoder to an application and disconnects it, as scripts for Wowza do: curl with Digest, and a reply that is
# cut at a fixed position.
#
#   pilot.sh HOST:PORT USER:PASSWORD connect|disconnect|reset APPLICATION STREAM
set -u
host=$1 user=$2 action=$3 app=$4 stream=$5
base="http://$host/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications/$app"
incoming="$base/instances/_definst_/incomingstreams/$stream.stream/actions"
case $action in
  connect) url="$base/streamfiles/$stream/actions/connect?connectAppName=$app&appInstance=_definst_&mediaCasterType=rtp" ;;
  disconnect) url="$incoming/disconnectStream" ;;
  reset) url="$incoming/resetStream" ;;
  *) echo "unknown action $action" >&2; exit 2 ;;
esac
reply=$(curl --silent --show-error --digest --user "$user" --request PUT \
  --header 'Accept: application/json; charset=utf-8' --header 'Content-Type: application/json' "$url")
echo "$reply"
# substr(reply, 11, 4)
[ "${reply:11:4}" = true ]
