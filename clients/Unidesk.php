<?php

/**
 * unidesk for PHP 8: operations and events over HTTP, with the extension curl.  Talks to nodes.
 *
 *     $desk = new Unidesk\Unidesk(['https://desk1.acme.example', 'https://desk2.acme.example'], $token);
 *     $cv = $desk->open(['text' => 'Where is my parcel?'])['cv'];
 *     foreach ($desk->events(forS: 50) as $name => $data) {   // ev, gap, caught, offer, welcome ...
 *         echo $name === 'ev' && $data['type'] === 'msg' ? "{$data['data']['body']}\n" : '';
 *     }
 *
 * An operation is asked again, with the same key, at the next node until it is answered or its deadline is over.
 * Events come once and in order, whichever node tells them; what is kept no more is a `gap`.  Names in `S` are seconds.
 * Source: docs/reference/protocol.md.  Apache-2.0.
 */

declare(strict_types=1);
namespace Unidesk;

const CONNECT_S = 3.0, ATTEMPT_S = 10.0; // ... and for one answer, or the welcome of a stream
const RETRY_S_MIN = 0.25, RETRY_S_MAX = 10.0; // of the doubling wait, of which a random part is waited
const STABLE_S = 1.0, PINGS_MISSED_MAX = 2.5; // a stream that lived for less makes no wait short again
const BYTES_MAX = 4 * 1024 * 1024, NODES_MAX = 64, CURSORS_MAX = 10_000, RESUMED_MAX = 200;
const NODE = '~^(?:ws|http)(s?)(://[^/?#\s]+(?:/[^?#\s]+?)??)(?:/v1/ws)?/?$~D';
const REFUSALS = [400 => 'bad_request', 401 => 'unauthorized', 403 => 'forbidden', 413 => 'too_large'];
const PUSHES = [
    'ev' => ['cv', 'seq', 'type'], 'gap' => ['cv', 'have', 'first', 'last'], 'welcome' => ['sid', 'ping_ms'],
    'err' => ['id', 'code', 'msg'], 'bye' => ['code', 'reason', 'resume'],
]; // what they are sure to say
const PARTINGS = [4102 => 'unauthorized', 4103 => 'unauthorized', 4104 => 'forbidden'];

/** Something was not done: `getCode()` is a code of the protocol, `getMessage()` says it in words. */
abstract class UnideskError extends \RuntimeException
{
    public bool $retry; // whether the same request, with the same key, may succeed later

    public function __construct(string $code, string $message, public array $data = [], public float $waitS = 0.0)
    {
        parent::__construct($message);
        [$this->code, $this->retry] = [$code, $this instanceof Unavailable];
    }
}

/** The cluster said no, until somebody acts; a stream's code may be a close code. */
final class Refused extends UnideskError {}

/** No node did it in time: ask again with the key `$data['key']`.  Code `timeout`: it may have been done. */
final class Unavailable extends UnideskError {}

/**
 * One principal's way into the cluster.  `key` among the fields makes a call one with an earlier try.
 *
 * @method array open(array $fields = [])  `text`, `subject`, `tags` ...: {cv, seq, state}
 * @method array send(string $cv, mixed $body, array $fields = [])  {seq, mid, ts}; agents add their `fence`
 * @method array history(string $cv, int $after = 0, array $fields = [])  {events, more, first, last, gap}
 * @method array close(string $cv, array $fields = [])  {seq}
 * @method array transfer(string $cv, array $to, array $fields = [])  to ['agent' => id] or ['queue' => name]
 */
final class Unidesk
{
    private const OPERATIONS = [
        'open' => ['cv.open', []], 'send' => ['msg.send', ['cv', 'body']], 'history' => ['cv.history', ['cv', 'after']],
        'close' => ['cv.close', ['cv']], 'transfer' => ['cv.transfer', ['cv', 'to']],
    ];
    public array $nodes; // the next to ask is first; these three are for the classes below
    public string $current = '';

    /**
     * @param string|\Closure $token or what returns one, asked again when its last counts no more
     * @param array<int, mixed> $curl more options of curl: [CURLOPT_CAINFO => '/etc/acme/ca.pem']
     */
    public function __construct(array $urls, private $token, private float $deadlineS = 30.0, public array $curl = [])
    {
        $this->nodes = array_map('Unidesk\base', array_values($urls));
        $schemes = array_unique(array_map(fn ($node) => substr($node, 0, 6), $this->nodes));
        if (count($schemes) !== 1 || $schemes[0] === '') {
            throw new \InvalidArgumentException('urls: all like https://desk1.acme.example, or all http');
        }
    }

    public function __call(string $name, array $arguments): array
    {
        [$op, $names] = self::OPERATIONS[$name] ?? throw new \BadMethodCallException("no method $name");
        $given = array_slice($arguments, 0, count($names));
        $fields = array_combine(array_slice($names, 0, count($given)), $given);
        return $this->call($op, $fields + ($arguments[count($names)] ?? []));
    }

    /** Listen to what is one's own and to `$cvs`, on from `$place`, for `$forS` at most. */
    public function events(array $cvs = [], string $place = '', float $forS = INF): Events
    {
        return new Events($this, $cvs, $place, $forS);
    }

    /** Do any operation; the reply's `r`.  @throws Refused|Unavailable */
    public function call(string $op, array $fields = [], ?float $deadlineS = null): array
    {
        $key = $fields['key'] ?? bin2hex(random_bytes(12));
        $body = json_encode((object) array_diff_key($fields, ['key' => 0]), JSON_THROW_ON_ERROR);
        $headers = ['Content-Type: application/json', "Idempotency-Key: $key"];
        $over = now() + ($deadlineS ?? $this->deadlineS);
        for ($failures = 0, $doubt = $renewed = false;;) {
            $node = $this->nodes[0];
            try {
                $asked = new Exchange($this, '/v1/op/' . rawurlencode($op), $headers, $body);
                return $asked->reply(min($over, now() + ATTEMPT_S));
            } catch (Refused $no) {
                $no->getCode() === 'unauthorized' && !$renewed && ($renewed = $this->renew()) || throw $no;
            } catch (Unavailable $no) {
                $this->goOn($no->data['nodes'] ?? [], $node);
                $doubt = $doubt || $no->getCode() === 'timeout';
                $waitS = max($no->waitS, jitter($failures++));
                if (now() + $waitS >= $over) {
                    $code = $doubt ? 'timeout' : $no->getCode();
                    throw new Unavailable($code, $no->getMessage(), ['key' => $key] + $no->data);
                }
                usleep((int) (1e6 * $waitS));
            }
        }
    }

    public function renew(): bool
    {
        [$before, $this->current] = [$this->current, is_string($this->token) ? $this->token : ($this->token)()];
        return $this->current !== $before;
    }

    /** @internal takes note of nodes that one told of; when it was `$lost`, they come first, it last */
    public function goOn(mixed $told, string $lost = ''): void
    {
        $urls = is_array($told) ? array_map('Unidesk\base', array_column($told, 'url')) : [];
        $safe = array_filter($urls, fn ($url) => substr($url, 0, 6) === substr($this->nodes[0], 0, 6)); // TLS stays
        $queue = array_unique($lost !== '' ? [...$safe, ...$this->nodes] : [...$this->nodes, ...$safe]);
        $others = array_slice(array_values(array_diff($queue, [$lost])), 0, NODES_MAX - 1);
        $this->nodes = $lost !== '' ? [...$others, $lost] : $others;
    }
}

/** Pushes as name => fields, each once and in order, for `$forS` or until one leaves the loop. */
final class Events implements \IteratorAggregate
{
    private array $seen = []; // the last `seq` of each conversation, and whether it goes on; the newest last
    private float $over, $liveSince, $quietS;

    public function __construct(private Unidesk $desk, private array $wanted, private string $sid, float $forS)
    {
        preg_match_all('/\.(\w+):(\d{1,15})/', $sid, $had);
        $this->seen = array_combine($had[1], array_map(fn ($seq) => [(int) $seq, true], $had[2]));
        [$this->sid, $this->over] = [explode('.', $sid)[0], now() + $forS];
    }

    /** Where this listener is, the last event included: `events(place: ...)` goes on there. */
    public function place(): string
    {
        $had = array_slice(array_filter($this->seen, fn ($one) => $one[1]), -RESUMED_MAX, null, true);
        return $this->sid . implode('', array_map(fn ($cv, $one) => ".$cv:$one[0]", array_keys($had), $had));
    }

    /** @throws Refused when nothing goes on until somebody acts */
    public function getIterator(): \Generator
    {
        for ($failures = 0, $renewed = false; now() < $this->over;) {
            [$waitS, $this->liveSince, $this->quietS] = [0.0, INF, ATTEMPT_S];
            [$node, $place] = [$this->desk->nodes[0], $this->place()];
            $asked = array_values(array_filter($this->wanted, fn ($cv) => !str_contains($place, $cv)));
            $query = implode('&', array_map(fn ($cv) => 'cv=' . rawurlencode($cv), $asked));
            try {
                $exchange = new Exchange($this->desk, "/v1/events?$query", $place ? ["Last-Event-ID: $place"] : []);
                while (now() < $this->over) {
                    [$name, $data] = $exchange->push(min($this->over, now() + $this->quietS));
                    if ($this->take($name, $data, $asked)) {
                        yield $name => $data;
                    }
                }
            } catch (Refused $no) {
                $tried = $no->getCode() !== 'unauthorized' || $renewed && $this->liveSince === INF;
                ($renewed = !$tried && $this->desk->renew()) || throw $no;
            } catch (Unavailable | \TypeError $lost) { // the latter: a push that makes no sense
                $this->desk->goOn($lost->data['nodes'] ?? [], $node);
                $waitS = $lost->waitS ?? 0.0;
            }
            unset($exchange);
            $failures = now() - $this->liveSince >= STABLE_S ? 0 : $failures + 1;
            usleep((int) (1e6 * max(0.0, min(max($waitS, jitter($failures)), $this->over - now()))));
        }
    }

    private function take(string $name, array &$data, array $asked): bool // is it to be told?
    {
        $missing = array_diff(PUSHES[$name] ?? [], array_keys($data));
        $missing && throw new Unavailable('timeout', "$name without " . implode(', ', $missing));
        $cv = $data['cv'] ?? '';
        $seen = $this->seen[$cv][0] ?? 0;
        if ($name === 'ev') {
            $data['seq'] > $seen + 1 && throw new Unavailable('timeout', "$cv: {$data['seq']} after $seen");
            if ($data['seq'] <= $seen) {
                return false;
            }
            $this->note($cv, $data['seq'], $data['type'] !== 'closed');
        } elseif ($name === 'gap') {
            ['first' => $first, 'last' => $last] = $data; // both 0: it is gone, or not ours to see any more
            $this->note($cv, $last ? max(min($seen, $last), $first - 1) : $seen, $last > 0);
            return !$last || $seen < $first - 1 || $seen > $last;
        } elseif ($name === 'welcome') {
            [$this->sid, $this->liveSince] = [$data['sid'], now()];
            $this->quietS = PINGS_MISSED_MAX * max(1.0, $data['ping_ms'] / 1000);
            $this->desk->goOn($data['nodes'] ?? []);
        } elseif ($name === 'err') {
            ($data['retry'] ?? false) && throw new Unavailable($data['code'], $data['msg']);
            $data['cv'] = $asked[$data['id'] - 1];
            $this->wanted = array_diff($this->wanted, [$data['cv']]);
        } elseif ($name === 'bye') {
            ['code' => $code, 'reason' => $reason] = $data;
            $data['resume'] || throw new Refused(PARTINGS[$code] ?? (string) $code, $reason);
            $waitMs = random_int($data['retry']['min_ms'], $data['retry']['max_ms']);
            throw new Unavailable('bye', $reason, $data, min(RETRY_S_MAX, $waitMs / 1000));
        }
        return $name !== 'ok' && $name !== 'ping';
    }

    private function note(string $cv, int $seq, bool $goesOn): void
    {
        unset($this->seen[$cv]);
        $this->seen[$cv] = [$seq, $goesOn]; // the newest is last
        $goesOn || $this->wanted = array_diff($this->wanted, [$cv]);
        count($this->seen) > CURSORS_MAX && array_shift($this->seen);
    }
}

/** @internal one request to the next node, and its answer as far as it came */
final class Exchange
{
    private string $text = '', $retryAfter = '', $node;
    private object $handle, $multi;

    public function __construct(Unidesk $desk, string $path, array $headers, ?string $body = null)
    {
        $desk->current === '' && $desk->renew();
        $text = &$this->text; // what the handle keeps holds no `$this`: it ends with it
        $after = &$this->retryAfter;
        $this->node = $desk->nodes[0];
        [$this->handle, $this->multi] = [curl_init($this->node . $path), curl_multi_init()];
        curl_setopt_array($this->handle, $desk->curl + ($body !== null ? [CURLOPT_POSTFIELDS => $body] : []) + [
            CURLOPT_HTTPHEADER => [...$headers, "Authorization: Bearer $desk->current", 'Expect:'],
            CURLOPT_CONNECTTIMEOUT_MS => (int) (1000 * CONNECT_S),
            CURLOPT_WRITEFUNCTION => static function ($_, string $bytes) use (&$text): int {
                $text .= $bytes;
                return strlen($text) > BYTES_MAX ? 0 : strlen($bytes);
            },
            CURLOPT_HEADERFUNCTION => static function ($_, string $line) use (&$after): int {
                preg_match('/^retry-after:\s*(\d{1,6})\s*$/i', $line, $found); // a date would hang on two clocks
                $after = $found[1] ?? $after;
                return strlen($line);
            },
        ]);
        curl_multi_add_handle($this->multi, $this->handle);
    }

    /** Take what comes; whether more may.  @throws Unavailable when there is nothing before `$by` */
    private function read(float $by): bool
    {
        curl_multi_select($this->multi, max(0.001, min(1.0, $by - now()))) > 0 || usleep(1_000);
        curl_multi_exec($this->multi, $running);
        $failed = curl_multi_info_read($this->multi)['result'] ?? CURLE_OK;
        $why = $failed ? curl_strerror($failed) : (now() >= $by ? 'no word in time' : '');
        $why && throw new Unavailable('timeout', "{$this->node}: $why");
        return $running > 0;
    }

    public function reply(float $by): array
    {
        while ($this->read($by));
        $said = json_decode($this->text, true);
        $status = curl_getinfo($this->handle, CURLINFO_RESPONSE_CODE);
        if ($status === 200 && is_array($said)) {
            return $said;
        }
        $ours = is_string($said['code'] ?? null); // else: a proxy, a captive portal, half an answer
        $code = $ours ? $said['code'] : REFUSALS[$status] ?? 'timeout';
        $retry = $ours ? $status >= 500 || ($said['retry'] ?? false) : $code === 'timeout';
        $message = $ours ? (string) ($said['msg'] ?? '') : "{$this->node} answered $status";
        $data = (array) ($said['data'] ?? []);
        throw new ($retry ? Unavailable::class : Refused::class)($code, $message, $data, (float) $this->retryAfter);
    }

    public function push(float $by): array // the next event's name and fields
    {
        for ($more = true; ($cut = strpos($this->text, "\n\n")) === false; $more = $this->read($by)) {
            $more && in_array(curl_getinfo($this->handle, CURLINFO_RESPONSE_CODE), [0, 200]) || $this->reply($by);
        }
        preg_match_all('/^(event|data): ?(.*)$/m', substr($this->text, 0, $cut), $found);
        $this->text = substr($this->text, $cut + 2);
        $fields = array_combine($found[1], $found[2]) + ['event' => 'ok', 'data' => '[]'];
        return [$fields['event'], json_decode($fields['data'], true)];
    }
}

function now(): float { return hrtime(true) / 1e9; }
function base(string $url): string { return preg_match(NODE, $url) ? preg_replace(NODE, 'http$1$2', $url) : ''; }
function jitter(int $n): float { return random_int(0, 1000) / 1e3 * min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min($n, 16)); }
