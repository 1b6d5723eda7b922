# ruff: noqa: E501 (lines are as the programs print them, so they stay long)
"""Generates logs of known programs with a gold label for each line: error, warning or noise.

    python -P -m benchmarks.log_lines NAME [COUNT] [SEED] [FOLDER]    # writes NAME.log and NAME.gold

error: something failed. warning: something may fail soon or needs attention. noise: business as usual.

Only the lines of `service` state their level. `[warn]` of nginx, `<info>` of NetworkManager and the first letter
of klog are left out, and so are messages that contain a level word, except for two of noise: a mount option and
a path. Messages on whose label readers differ are left out too, for example failed passwords of strangers at
sshd and failed readiness probes.

nginx: a single 401 or 404 is noise, because clients ask without credentials and crawlers ask for what never
existed, and neither concerns the server. A 429 is a warning (a client is at its limit), any 5xx is an error.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

Kind = tuple[int, str, str]
"""Weight, label, and the line as a format of `_fields`."""


def _kinds(stamp: str, table: str) -> tuple[Kind, ...]:
    """Returns a kind for each line of ``table``: weight, label, text."""
    rows = (row.split(maxsplit=2) for row in table.strip().split("\n"))
    return tuple((int(weight), label, stamp + text) for weight, label, text in rows)


SETS: Mapping[str, Sequence[Kind]] = {
    "service": _kinds(
        "{at:%Y-%m-%d %H:%M:%S},{milli} ",
        """
300 noise INFO  [http-{t}] GET /api/orders/{n} 200 {ms}ms
180 noise INFO  [http-{t}] POST /api/orders 201 {ms}ms user={u}
120 noise DEBUG [cache] hit key=order:{n} ttl={s}s
90 noise DEBUG [cache] miss key=order:{n}
60 noise INFO  [scheduler] job nightly-report finished in {s}s
40 noise INFO  [auth] user {u} logged in from {ip}
30 noise INFO  [main] configuration reloaded from /etc/shop/shop.toml
40 warning WARN  [db] query took {ms}ms, over the limit of 250ms: SELECT * FROM orders WHERE customer={n}
30 warning WARN  [disk] volume /var/lib/shop is {p}% full
20 warning WARN  [http-{t}] retrying payment gateway, attempt {a} of 5
12 warning WARN  [auth] {a} failed logins for user {u} from {ip}
10 warning INFO  [tls] certificate of shop.example expires in {a} days
25 error ERROR [http-{t}] POST /api/payments 502 {ms}ms upstream closed the connection
15 error ERROR [db] could not obtain a connection from the pool within 30s (pool size {a})
8 error ERROR [worker-{t}] job {n} died: java.lang.OutOfMemoryError: Java heap space
5 error FATAL [main] cannot bind to port {n}: address already in use, exiting
""",
    ),
    "syslog": _kinds(
        "{at:%b} {at.day:2} {at:%H:%M:%S} web-01 ",
        """
160 noise CRON[{pid}]: ({u}) CMD (/home/{u}/bin/{job}.sh)
150 noise CRON[{pid}]: pam_unix(cron:session): session opened for user {u}(uid={n}) by (uid=0)
140 noise sshd[{pid}]: Accepted publickey for {u} from {ip} port {port} ssh2: ED25519 SHA256:{key}
70 noise sshd[{pid}]: Received disconnect from {ip} port {port}:11: disconnected by user
80 noise systemd-logind[612]: New session {n} of user {u}.
70 noise systemd[1]: {unit}.service: Deactivated successfully.
60 noise dhclient[731]: DHCPACK of 10.0.0.{t} from 10.0.0.1 (xid=0x{tag})
45 noise dhclient[731]: bound to 10.0.0.{t} -- renewal in {n} seconds.
30 noise NetworkManager[712]: [{epoch}.{milli}] dhcp4 (eth0): state changed new lease, address=10.0.0.{t}
50 noise postfix/smtp[{pid}]: {queue}: to=<{u}@mail.example>, relay=mx.mail.example[{ip}]:25, delay={x}, delays=0.02/0.01/0.26/0.07, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {tag})
40 noise postfix/qmgr[1180]: {queue}: removed
25 noise smartd[834]: Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed from 6{a} to 70
15 noise sudo:   {u} : TTY=pts/{a} ; PWD=/home/{u} ; USER=root ; COMMAND=/usr/bin/systemctl restart {unit}
5 noise kernel: [{n}.{milli}{milli}] usb 1-{a}: new high-speed USB device number {t} using xhci_hcd
3 noise kernel: [{n}.{milli}{milli}] EXT4-fs (sdb{a}): mounted filesystem with ordered data mode. Opts: errors=remount-ro. Quota mode: none.
9 warning kernel: [{n}.{milli}{milli}] CPU{t}: Core temperature above threshold, cpu clock throttled (total events = {ms})
8 warning smartd[834]: Device: /dev/sdb [SAT], {a} Currently unreadable (pending) sectors
7 warning postfix/smtp[{pid}]: {queue}: to=<{u}@mail.example>, relay=none, delay={n}, delays={n}/0.02/30/0, dsn=4.4.1, status=deferred (connect to mx.mail.example[{ip}]:25: Connection timed out)
6 warning systemd[1]: {unit}.service: Scheduled restart job, restart counter is at {a}.
3 warning kernel: [{n}.{milli}{milli}] TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.  Check SNMP counters.
8 error systemd[1]: {unit}.service: Main process exited, code=exited, status={a}/FAILURE
6 error dhclient[731]: No DHCPOFFERS received.
5 error kernel: [{n}.{milli}{milli}] Out of memory: Killed process {pid} ({unit}) total-vm:{big}kB, anon-rss:{big}kB, file-rss:{n}kB, shmem-rss:0kB, UID:{t} pgtables:{n}kB oom_score_adj:0
3 error kernel: [{n}.{milli}{milli}] ata{a}.00: failed command: READ FPDMA QUEUED
""",
    ),
    "nginx": _kinds(
        "",
        """
280 noise {client} "GET {path} HTTP/1.1" 200 {n} "-" "{browser}"
200 noise {client} "GET /static/{tag}.js HTTP/2.0" 200 {n} "https://shop.example{path}" "{browser}"
90 noise {client} "GET /static/{tag}.css HTTP/2.0" 304 0 "https://shop.example{path}" "{browser}"
90 noise {client} "GET /healthz HTTP/1.1" 200 2 "-" "kube-probe/1.29"
70 noise {client} "POST /api/v1/orders HTTP/1.1" 201 {ms} "https://shop.example/cart" "{browser}"
50 noise {client} "POST /login HTTP/1.1" 302 0 "https://shop.example/login" "{browser}"
40 noise {client} "GET /media/{tag}.mp4 HTTP/1.1" 206 {big} "https://shop.example{path}" "{browser}"
20 noise {client} "GET /docs/errors/502-bad-gateway HTTP/1.1" 200 {n} "-" "{browser}"
30 noise {client} "GET /wp-login.php HTTP/1.1" 404 162 "-" "{browser}"
20 noise {client} "GET /apple-touch-icon-{tag}.png HTTP/1.1" 404 153 "-" "{browser}"
20 noise {client} "GET /api/v1/me HTTP/1.1" 401 {a} "-" "{browser}"
25 noise {nginx} *{n} client {ip} closed keepalive connection
3 noise {nginx} signal 1 (SIGHUP) received from {pid}, reconfiguring
12 warning {client} "GET /api/v1/search?q={u}&page={n} HTTP/1.1" 429 169 "-" "python-requests/2.31.0"
9 warning {nginx} *{n} an upstream response is buffered to a temporary file /var/cache/nginx/proxy_temp/{a}/{t}/{big} while reading upstream{upstream}
6 warning {nginx} *{n} delaying request, excess: {x}, by zone "api"{request}
3 warning {nginx} {n} worker_connections are not enough, reusing connections
9 error {client} "POST /api/v1/payments HTTP/1.1" 502 157 "https://shop.example/cart" "{browser}"
6 error {client} "GET {path} HTTP/1.1" 504 167 "-" "{browser}"
6 error {client} "GET {path} HTTP/2.0" 500 {ms} "https://shop.example{path}" "{browser}"
7 error {nginx} *{n} connect() failed (111: Connection refused) while connecting to upstream{upstream}
5 error {nginx} *{n} upstream timed out (110: Connection timed out) while reading response header from upstream{upstream}
3 error {nginx} *{n} pwrite() "/var/cache/nginx/proxy_temp/{a}/{t}/{big}" failed (28: No space left on device) while reading upstream{upstream}
2 error {nginx} worker process {pid} exited on signal 11 (core dumped)
""",
    ),
    "kubelet": _kinds(
        "{at:%m%d %H:%M:%S.%f}    1432 ",
        r"""
180 noise kubelet.go:2439] "SyncLoop (PLEG): event for pod" pod="{ns}/{pod}" event={{"ID":"{uid}","Type":"ContainerStarted","Data":"{digest}"}}
120 noise kubelet.go:2407] "SyncLoop ADD" source="api" pods=["{ns}/{pod}"]
110 noise kubelet.go:2414] "SyncLoop UPDATE" source="api" pods=["{ns}/{pod}"]
60 noise kubelet.go:2423] "SyncLoop DELETE" source="api" pods=["{ns}/{pod}"]
110 noise reconciler_common.go:258] "operationExecutor.VerifyControllerAttachedVolume started for volume \"kube-api-access-{tag}\" (UniqueName: \"kubernetes.io/projected/{uid}-kube-api-access-{tag}\") pod \"{pod}\" (UID: \"{uid}\") " pod="{ns}/{pod}"
90 noise operation_generator.go:721] "MountVolume.SetUp succeeded for volume \"kube-api-access-{tag}\" (UniqueName: \"kubernetes.io/projected/{uid}-kube-api-access-{tag}\") pod \"{pod}\" (UID: \"{uid}\") " pod="{ns}/{pod}"
70 noise kubelet.go:2519] "SyncLoop (probe)" probe="readiness" status="ready" pod="{ns}/{pod}"
60 noise pod_startup_latency_tracker.go:104] "Observed pod startup duration" pod="{ns}/{pod}" podStartSLOduration={x} podStartE2EDuration="{x}s"
60 noise scope.go:117] "RemoveContainer" containerID="{digest}"
40 noise kuberuntime_container.go:770] "Killing container with a grace period" pod="{ns}/{pod}" podUID="{uid}" containerName="{unit}" containerID="containerd://{digest}" gracePeriod=30
20 noise kubelet_volumes.go:163] "Cleaned up orphaned pod volumes dir" podUID="{uid}" path="/var/lib/kubelet/pods/{uid}/volumes"
8 noise kubelet_node_status.go:696] "Recording event message for node" node="worker-{a}" event="NodeHasSufficientMemory"
3 noise certificate_manager.go:356] kubernetes.io/kube-apiserver-client-kubelet: Certificate expiration is 2027-03-0{a} 08:00:00 +0000 UTC, rotation deadline is 2026-12-1{a} 21:14:02 +0000 UTC
12 warning kubelet_pods.go:1007] "Unable to retrieve pull secret, the image pull may not succeed." pod="{ns}/{pod}" secret="" err="secret \"{ns}-registry\" not found"
9 warning image_gc_manager.go:310] "Disk usage on image filesystem is over the high threshold, trying to free bytes down to the low threshold" usage={p} highThreshold=80 amountToFree={big} lowThreshold=75
6 warning kubelet.go:2481] "Housekeeping took longer than expected" expected="1s" actual="{a}.{milli}s"
4 warning eviction_manager.go:366] "Eviction manager: attempting to reclaim" resourceName="ephemeral-storage"
3 warning kubelet_node_status.go:696] "Recording event message for node" node="worker-{a}" event="NodeHasDiskPressure"
10 error kuberuntime_image.go:55] "Failed to pull image" err="failed to pull and unpack image \"registry.example/{unit}:{tag}\": failed to resolve reference \"registry.example/{unit}:{tag}\": unexpected status code 403 Forbidden" image="registry.example/{unit}:{tag}"
8 error kuberuntime_sandbox.go:72] "Failed to create sandbox for pod" err="failed to setup network for sandbox \"{digest}\": plugin type=\"calico\" failed (add): stat /var/lib/calico/nodename: no such file or directory" pod="{ns}/{pod}"
6 error secret.go:194] Couldn't get secret {ns}/{unit}-credentials: secret "{unit}-credentials" not found
5 error kubelet_node_status.go:540] "Unable to update node status" err="update node status exceeds retry count"
4 error kubelet.go:2184] "Skipping pod synchronization" err="PLEG is not healthy: pleg was last seen active 1{a}m{t}.{milli}s ago; threshold is 3m0s"
2 error kubelet.go:2862] "Container runtime network not ready" networkReady="NetworkReady=false reason:NetworkPluginNotReady message:docker: network plugin is not ready: cni config uninitialized"
""",
    ),
    "postgresql": _kinds(
        "{at:%Y-%m-%d %H:%M:%S}.{milli} UTC [{pid}] ",
        """
170 noise connection received: host=10.0.{a}.{t} port={port}
160 noise {u}@shop connection authorized: user={u} database=shop SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)
150 noise {u}@shop disconnection: session time: 0:0{a}:{at:%S}.{milli} user={u} database=shop host=10.0.{a}.{t} port={port}
130 noise {u}@shop duration: {x} ms  bind <unnamed>: SELECT * FROM {table} WHERE id = $1
90 noise {u}@shop statement: SELECT count(*) FROM {table} WHERE customer_id = {n}
30 noise {u}@shop statement: UPDATE jobs SET last_failure = NULL, state = 'done' WHERE id = {n}
55 noise checkpoint starting: time
55 noise checkpoint complete: wrote {n} buffers ({a}.{t}%); 0 WAL file(s) added, {a} removed, {t} recycled; write={s}.{milli} s, sync=0.{milli} s, total={s}.{milli} s; sync files={t}, longest=0.{milli} s, average=0.003 s; distance={n} kB, estimate={big} kB
50 noise automatic vacuum of table "shop.public.{table}": index scans: {a}, pages: 0 removed, {n} remain, {ms} scanned ({p}.00% of total), tuples: {ms} removed, {big} remain, 0 are dead but not yet removable
40 noise automatic analyze of table "shop.public.{table}" system usage: CPU: user: {x} s, system: 0.{milli} s, elapsed: {x} s
4 noise received SIGHUP, reloading configuration files
3 noise parameter "work_mem" changed to "{t}MB"
14 warning {u}@shop duration: {n}.{milli} ms  statement: SELECT * FROM {table} JOIN customers USING (customer_id) ORDER BY created_at DESC
8 warning checkpoints are occurring too frequently ({a} seconds apart)
6 warning {u}@shop process {pid} still waiting for ShareLock on transaction {big} after 1000.{milli} ms
4 warning oldest xmin is far in the past
3 warning {u}@shop database "shop" must be vacuumed within {big} transactions
9 error {u}@shop duplicate key value violates unique constraint "{table}_pkey"
7 error {u}@shop canceling statement due to statement timeout
5 error archive command failed with exit code {a}
5 error {u}@shop deadlock detected
4 error {u}@shop remaining connection slots are reserved for non-replication superuser connections
3 error {u}@shop could not write to file "base/pgsql_tmp/pgsql_tmp{pid}.{a}": No space left on device
2 error server process (PID {pid}) was terminated by signal 9: Killed
""",
    ),
    # The same sender says all three, so that only the text after the last colon tells.
    "freetext": _kinds(
        "{at:%Y-%m-%dT%H:%M:%S}.{milli}Z ",
        """
300 noise app: worker {t} said: picked up order {n} of {u}
200 noise app: worker {t} said: queue is empty, sleeping {s} seconds
150 noise gateway: device pump-{t} reported: water level steady at {p} cm
120 noise gateway: device pump-{t} reported: back in service, failed valve was replaced by {u}
100 noise batch[{pid}]: step import-prices returned: {n} rows copied, none rejected
50 noise batch[{pid}]: step import-prices returned: nothing new since {at:%H:%M}
14 warning app: worker {t} said: only {a} of 40 database connections are left
12 warning gateway: device pump-{t} reported: battery down to {a} percent, replace it soon
10 warning batch[{pid}]: step import-prices returned: {a} rows had no price, used the one of yesterday
20 error app: worker {t} said: gave up on order {n} after {a} attempts, the payment provider does not answer
12 error app: worker {t} said: could not parse the address of {u}, order {n} was dropped
8 error gateway: device pump-{t} reported: motor blocked, pump stopped
4 error batch[{pid}]: step import-prices returned: {n} rows rejected, import rolled back
""",
    ),
    "es": _kinds(
        "{at:%d/%m/%Y %H:%M:%S} tienda[{pid}]: ",
        """
280 noise Pedido {n} registrado por {u} en {ms} ms
200 noise Consulta del catálogo atendida en {ms} ms para {ip}
150 noise Sesión iniciada por {u} desde {ip}
120 noise Sesión cerrada por {u} tras {s} segundos
80 noise Correo de confirmación enviado al cliente {n}
60 noise Caché renovada: {n} entradas en {ms} ms
40 noise Tarea informe-diario terminada sin fallos en {s} segundos
20 noise Copia de seguridad terminada: {n} ficheros
12 warning Queda un {a} % de espacio libre en /var/lib/tienda
8 warning El pago del pedido {n} tarda más de lo esperado, se reintentará en {s} segundos
4 warning El certificado de tienda.example caduca dentro de {a} días
12 error No se pudo conectar con la base de datos en 10.0.{a}.{t}: conexión rechazada
8 error Fallo al enviar el correo al cliente {n}: el servidor no responde
5 error No se ha podido guardar el pedido {n}: no queda espacio en el disco
3 error La tarea {n} terminó de forma inesperada: memoria agotada
""",
    ),
}

_USERS = ("amelia", "bruno", "chen", "dolores", "emeka", "farah", "goran", "hana")
_JOBS = ("backup", "sync", "report", "rotate-keys", "thumbnails")
_UNITS = ("redis-server", "shop-api", "mysqld", "rabbitmq", "grafana", "mailer")
_SPACES = ("default", "shop", "monitoring", "kube-system")
_TABLES = ("orders", "carts", "invoices", "payments", "stock_moves")
_PATHS = ("/", "/cart", "/products/{}", "/api/v1/orders/{}", "/category/{}", "/account/invoices/{}")
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.3 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)


def _fields(pick: random.Random, at: datetime) -> dict[str, object]:
    def digits(count: int) -> str:
        return f"{pick.getrandbits(4 * count):0{count}x}"

    ip = ".".join(str(pick.randint(1, 254)) for _ in range(4))
    a, pid, unit = pick.randint(2, 9), pick.randint(1500, 32000), pick.choice(_UNITS)
    path = pick.choice(_PATHS).format(pick.randint(100, 9999))
    request = f', client: {ip}, server: shop.example, request: "GET {path} HTTP/1.1"'
    return {
        "at": at,
        "epoch": int(at.replace(tzinfo=UTC).timestamp()),
        "milli": f"{at.microsecond // 1000:03}",
        "t": pick.randint(1, 16),
        "n": pick.randint(1000, 99999),
        "big": pick.randint(1_000_000, 40_000_000),
        "x": f"{pick.uniform(0.05, 8):.3f}",
        "ms": pick.randint(2, 4000),
        "s": pick.randint(1, 900),
        "p": pick.randint(81, 99),
        "a": a,
        "u": pick.choice(_USERS),
        "ip": ip,
        "pid": pid,
        "port": pick.randint(32768, 60999),
        "key": "".join(pick.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789+/", k=43)),
        "tag": digits(8),
        "queue": digits(10).upper(),
        "digest": digits(64),
        "uid": "-".join(digits(count) for count in (8, 4, 4, 4, 12)),
        "job": pick.choice(_JOBS),
        "unit": unit,
        "ns": pick.choice(_SPACES),
        "pod": f"{unit}-{digits(10)}-{digits(5)}",
        "table": pick.choice(_TABLES),
        "path": path,
        "browser": pick.choice(_BROWSERS),
        "client": f"{ip} - - [{at:%d/%b/%Y:%H:%M:%S} +0000]",
        "nginx": f"{at:%Y/%m/%d %H:%M:%S} {pid}#{pid}:",
        "request": f'{request}, host: "shop.example"',
        "upstream": f'{request}, upstream: "http://10.0.2.{a}:8080{path}", host: "shop.example"',
    }


def lines(name: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Returns ``count`` pairs of line and label, always the same for a seed."""
    pick, at, made = random.Random(seed), datetime(2026, 3, 4, 8), list[tuple[str, str]]()
    for _, label, form in pick.choices(SETS[name], [kind[0] for kind in SETS[name]], k=count):
        at += timedelta(microseconds=pick.randint(1_000, 4_000_000))
        made.append((form.format_map(_fields(pick, at)), label))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=SETS)
    parser.add_argument("count", type=int, nargs="?", default=3000)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    asked = parser.parse_args()
    made = lines(asked.name, asked.count, asked.seed)
    for ending, column in (("log", 0), ("gold", 1)):
        text = "".join(f"{pair[column]}\n" for pair in made)
        (asked.folder / f"{asked.name}.{ending}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
