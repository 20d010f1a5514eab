<?php

/**
 * What the tests have the PHP client do.  Talks to nodes; a line of JSON for each thing it saw.
 * The scenarios are those of driver.py.
 */

declare(strict_types=1);

require __DIR__ . '/../../../clients/Unidesk.php';

use Unidesk\Refused;
use Unidesk\Unavailable;
use Unidesk\Unidesk;
use Unidesk\UnideskError;

set_error_handler(fn (int $level, string $message) => throw new ErrorException($message, 0, $level));

$urls = explode(',', getenv('URLS'));
$token = getenv('TOKEN');

function tell(array $fields): void
{
    echo json_encode($fields), "\n";
}

function note(string $name, array $data): void
{
    match ($name) {
        'welcome' => tell(['node' => $data['node']]),
        'ev' => tell([
            'cv' => $data['cv'], 'seq' => $data['seq'], 'type' => $data['type'],
            'body' => $data['data']['body'] ?? null,
        ]),
        'gap' => tell(['gap' => $data]),
        default => null,
    };
}

function isSaidBy(string $name, array $data, string $role): bool
{
    return $name === 'ev' && $data['type'] === 'msg' && $data['by'][0] === $role;
}

function visitor(Unidesk $desk, int $count): void
{
    [$cv, $said] = ['', 1];
    foreach ($desk->events() as $name => $data) {
        note($name, $data);
        if ($cv === '') {
            $cv = $desk->open(['text' => '1', 'key' => 'open'])['cv'];
        } elseif (isSaidBy($name, $data, 'agent')) {
            if ($said === $count) {
                $desk->close($cv, ['key' => 'close']);
                continue;
            }
            $said += 1;
            $desk->send($cv, "$said", ['key' => "m$said"]);
            tell(['said' => $said]);
        } elseif ($name === 'ev' && $data['type'] === 'closed') {
            return;
        }
    }
}

function agent(Unidesk $desk): void
{
    $fences = [];
    foreach ($desk->events() as $name => $data) {
        note($name, $data);
        if ($name === 'welcome') {
            $desk->call('status.set', ['status' => 'online']);
        } elseif ($name === 'offer') {
            $reply = $desk->call('offer.accept', ['oid' => $data['oid'], 'key' => $data['oid']]);
            $fences[$reply['cv']] = $reply['fence'];
        } elseif (isSaidBy($name, $data, 'visitor')) {
            ['cv' => $cv, 'seq' => $seq] = $data;
            $desk->send($cv, "re {$data['data']['body']}", ['key' => "$cv.$seq", 'fence' => $fences[$cv]]);
        } elseif ($name === 'ev' && $data['type'] === 'closed') {
            return;
        }
    }
}

function errors(Unidesk $desk, array $urls, string $token): void
{
    $cv = $desk->open(['text' => 'one'])['cv'];
    $closed = $desk->open()['cv'];
    $desk->close($closed);
    $desk->send($cv, 'same', ['key' => 'k']);
    $nowhere = new Unidesk(['http://127.0.0.1:1'], $token, 0.5);
    $stranger = new Unidesk($urls, 'nonsense');
    $cases = [
        'bad token' => fn () => $stranger->open(),
        'bad token of a stream' => fn () => iterator_to_array($stranger->events()),
        'forbidden' => fn () => $desk->call('members.get'),
        'unknown op' => fn () => $desk->call('cv.fly'),
        'not found' => fn () => $desk->history('01J00000000000000000000000'),
        'closed' => fn () => $desk->send($closed, 'too late'),
        'same key, other body' => fn () => $desk->send($cv, 'other', ['key' => 'k']),
        'bad request' => fn () => $desk->call('msg.send', ['cv' => $cv]),
        'too large' => fn () => $desk->send($cv, str_repeat('x', 20_000)),
        'nobody there' => fn () => $nowhere->open(['key' => 'k2']),
    ];
    foreach ($cases as $case => $ask) {
        try {
            $ask();
        } catch (UnideskError $no) {
            $kind = $no instanceof Refused ? 'Refused' : 'Unavailable';
            $key = $no->data['key'] ?? '';
            tell(['case' => $case, 'kind' => $kind, 'code' => $no->getCode(), 'retry' => $no->retry, 'key' => $key]);
        }
    }
    $again = $desk->send($cv, 'same', ['key' => 'k']);
    $desk->close($cv);
    tell(['case' => 'same key, same body', 'kind' => '', 'code' => '', 'retry' => $again['dup'], 'key' => '']);
}

function say(array $urls, string $token, string $key): void
{
    try {
        $reply = (new Unidesk($urls, $token, 10))->open(['text' => 'once', 'key' => $key]);
        tell(['cv' => $reply['cv'], 'dup' => $reply['dup'] ?? false]);
    } catch (Unavailable $no) {
        tell(['code' => $no->getCode(), 'key' => $no->data['key']]);
    }
}

function listen(array $urls, array $tokens, float $forS): void
{
    $desk = new Unidesk($urls, function () use (&$tokens): string {
        return count($tokens) > 1 ? array_shift($tokens) : $tokens[0];
    });
    $events = $desk->events(place: getenv('PLACE') ?: '', forS: $forS);
    foreach ($events as $name => $data) {
        note($name, $data);
    }
    tell(['place' => $events->place()]);
}

$desk = new Unidesk($urls, $token);
match ($argv[1]) {
    'visitor' => visitor($desk, (int) $argv[2]),
    'agent' => agent($desk),
    'errors' => errors($desk, $urls, $token),
    'say' => say($urls, $token, $argv[2]),
    'listen' => listen($urls, explode(',', $token), (float) $argv[2]),
};
