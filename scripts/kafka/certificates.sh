#!/usr/bin/env bash
# Makes the certificates of a test cluster in a folder: an authority (ca.crt), the brokers' store (broker.pem), a client's
# (alice.crt, alice.key), and another authority (otherca.crt) with a client that the brokers must refuse (mallory).
set -euo pipefail
mkdir -p "$1"
cd "$1"
[ -e broker.pem ] && exit 0
authority() { # name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" -keyout "$1.key" -out "$1.crt" \
    -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
signed() { # name, authority, usage, more extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 -out "$1.crt" \
    -extfile <(printf 'extendedKeyUsage=%s\n%s' "$3" "${4:-}") 2>/dev/null
}
authority ca
authority otherca
signed localhost ca serverAuth,clientAuth "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
signed alice ca clientAuth
signed mallory otherca clientAuth
rm -f ./*.csr ./*.srl
# Kafka's PEM store is one file: the key in PKCS#8, its certificate, the authority's.
cat localhost.key localhost.crt ca.crt >broker.pem.part
mv broker.pem.part broker.pem
