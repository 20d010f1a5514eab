import java.net.URI;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.stream.*;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

/**
 * Events of unidesk over WebSocket, to go with {@link Unidesk}: pushes, each once and in order, until {@code close},
 * which logs an agent out.  No thread of its own: one that asks for the next push connects, resumes and waits.
 *
 * <pre>
 * connecting --hello--&gt; welcome ... pushes --bye, silence, broken--&gt; pause --&gt; connecting elsewhere
 *                                        --41xx--&gt; Refused
 * </pre>
 *
 * Names in {@code Ms} are milliseconds of a monotonic clock.  Source: docs/reference/protocol.md.  Apache-2.0.
 */
public final class UnideskEvents implements Iterable<Map<String, Object>>, AutoCloseable {
    private static final long STABLE_MS = 1_000; // who lived for less does not make the next wait short again
    private static final long CLOSE_MS = 1_000;
    private static final double PINGS_MISSED_MAX = 2.5;
    private static final int ASKED_MAX = 64, CURSORS_MAX = 10_000, RESUMED_MAX = 200;
    private static final int CHARACTERS_MAX = 4 << 20, PUSHES_WAITING_MAX = 64;

    private final Unidesk desk;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Map<String, Long> seen = new LinkedHashMap<>(); // the last seq, the newest last; negative: it ended
    private final Set<String> wanted;
    private final Queue<Object> pushes = new ArrayDeque<>();
    private volatile BlockingQueue<Object> inbox;
    private volatile WebSocket socket;
    private List<String> asked;
    private String sid, node = "";
    private boolean renewed;
    private int failures;
    private long retryAt = Unidesk.now(), quietAt, quietMs, liveSince;

    UnideskEvents(Unidesk desk, Collection<String> cvs, String place) {
        if (cvs.size() > ASKED_MAX) throw new IllegalArgumentException("cvs: at most " + ASKED_MAX);
        this.desk = desk;
        wanted = new LinkedHashSet<>(cvs);
        sid = place.split("\\.")[0];
        Matcher had = Pattern.compile("\\.(\\w+):(\\d{1,15})").matcher(place);
        while (had.find()) seen.put(had.group(1), Long.valueOf(had.group(2)));
    }

    /** Where this listener is, the last event included: {@code events(cvs, place)} goes on there. */
    public String place() {
        return sid + cursors().stream().map(one -> "." + one.get(0) + ":" + one.get(1)).collect(Collectors.joining());
    }

    private List<List<?>> cursors() {
        List<List<?>> all = new ArrayList<>();
        seen.forEach((cv, seq) -> { if (seq >= 0) all.add(List.of(cv, seq)); });
        return all.subList(Math.max(0, all.size() - RESUMED_MAX), all.size());
    }

    @Override public Iterator<Map<String, Object>> iterator() {
        return Stream.generate(() -> next(Duration.ofDays(9_999))).takeWhile(Objects::nonNull).iterator();
    }

    /** The next push, or null: none within that time, closed, or interrupted.  Throws {@code Refused}. */
    public Map<String, Object> next(Duration within) {
        long by = Unidesk.now() + within.toMillis();
        while (Unidesk.now() < by && !closed() && !Thread.currentThread().isInterrupted()) {
            try {
                if (pushes.isEmpty()) receive(by);
                Map<String, Object> push = Unidesk.map(pushes.poll());
                if (!push.isEmpty() && take(push, (String) push.get("op"))) return push;
            } catch (Unidesk.Refused no) {
                leave(3000);
                if (!no.code.equals("unauthorized") || renewed || !(renewed = desk.renew())) throw no;
            } catch (Unidesk.Unavailable | ClassCastException | NullPointerException | IndexOutOfBoundsException lost) {
                leave(3000);
                Unidesk.Unavailable no = lost instanceof Unidesk.Unavailable
                        ? (Unidesk.Unavailable) lost : Unidesk.lost("a push makes no sense: " + lost);
                desk.goOn(no.data.get("nodes"), node);
                failures = liveSince > 0 && Unidesk.now() - liveSince >= STABLE_MS ? 0 : failures + 1;
                retryAt = Unidesk.now() + Math.max(no.waitMs, Unidesk.jitter(failures));
            }
        }
        return null;
    }

    /** Ends at once, also for a thread that waits. */
    @Override public void close() {
        closing.countDown();
        leave(1000);
    }

    private boolean closed() { return closing.getCount() == 0; }

    private void leave(int code) {
        WebSocket gone = socket;
        pushes.clear();
        if (inbox != null) inbox.add(List.of()); // whoever waits wakes up
        socket = null;
        if (gone == null) return;
        gone.sendClose(code, "").orTimeout(CLOSE_MS, MILLISECONDS).whenComplete((sent, no) -> gone.abort());
    }

    private void receive(long by) {
        Object item = null;
        try {
            if (socket == null) {
                boolean over = closing.await(Math.min(retryAt, by) - Unidesk.now(), MILLISECONDS);
                if (!over && Unidesk.now() >= retryAt) connect();
                return;
            }
            item = inbox.poll(Math.max(0, Math.min(quietAt, by) - Unidesk.now()), MILLISECONDS);
        } catch (InterruptedException stop) {
            Thread.currentThread().interrupt();
        }
        if (item instanceof Unidesk.UnideskException) throw (Unidesk.UnideskException) item;
        if (item == null && Unidesk.now() >= quietAt) throw Unidesk.lost(node + " fell silent");
        if (item == null || closed()) return;
        quietAt = Unidesk.now() + quietMs;
        socket.request(1);
        Object said = Unidesk.Json.parse((String) item);
        pushes.addAll(said instanceof List ? (List<?>) said : List.of(said));
    }

    private void connect() {
        if (desk.token.isEmpty()) desk.renew();
        node = desk.nodes.get(0);
        quietAt = Unidesk.now() + (quietMs = Unidesk.ATTEMPT_MS);
        liveSince = 0;
        asked = wanted.stream().filter(cv -> !place().contains(cv)).collect(Collectors.toList());
        inbox = new LinkedBlockingQueue<>();
        WebSocket.Builder builder = desk.http.newWebSocketBuilder().subprotocols("unidesk.v1+json");
        URI uri = URI.create(node.replaceFirst("http", "ws") + "/v1/ws");
        builder.connectTimeout(Duration.ofMillis(Unidesk.CONNECT_MS));
        socket = Unidesk.get(node, builder.buildAsync(uri, new Inbox(inbox)), Unidesk.ATTEMPT_MS);
        Map<String, Object> hello = Unidesk.with(Map.of(), "op", "hello", "ver", "1", "token", desk.token);
        if (!sid.isEmpty()) hello.put("resume", Map.of("sid", sid, "cvs", cursors()));
        say(hello);
        if (closed()) leave(1000);
    }

    private void say(Map<String, ?> request) {
        Unidesk.get(node, socket.sendText(Unidesk.Json.write(request), true), Unidesk.ATTEMPT_MS);
    }

    /** Notes what a push says of a conversation; whether the consumer is to have it. */
    private boolean take(Map<String, Object> push, String op) {
        String cv = (String) push.get("cv");
        long had = Math.abs(seen.getOrDefault(cv, 0L));
        if (op.equals("ev")) {
            long seq = Unidesk.number(push, "seq");
            if (seq > had + 1) throw Unidesk.lost(cv + ": " + seq + " after " + had); // asked for again, elsewhere
            if (seq <= had) return false;
            note(cv, seq, !push.get("type").equals("closed"));
        } else if (op.equals("gap")) {
            long first = Unidesk.number(push, "first"), last = Unidesk.number(push, "last"); // 0 and 0: it is gone
            note(cv, last > 0 ? Math.max(Math.min(had, last), first - 1) : had, last > 0);
            return last == 0 || had < first - 1 || had > last;
        } else if (op.equals("welcome")) {
            sid = (String) push.get("sid");
            liveSince = Unidesk.now();
            renewed = false;
            quietMs = (long) (PINGS_MISSED_MAX * Math.max(1_000, Unidesk.number(push, "ping_ms")));
            quietAt = Unidesk.now() + quietMs;
            desk.goOn(push.get("nodes"), "");
            for (String one : asked) say(Map.of("op", "cv.sub", "id", asked.indexOf(one) + 1, "cv", one));
        } else if (op.equals("token.expiring") && desk.renew()) {
            say(Map.of("op", "auth", "id", ASKED_MAX + 1, "token", desk.token));
        } else if (op.equals("ping")) {
            say(Map.of("op", "pong"));
        } else if (op.equals("err")) {
            push.put("cv", asked.get((int) Unidesk.number(push, "id") - 1));
            if (push.get("retry") == Boolean.TRUE) throw Unidesk.lost((String) push.get("msg"));
            wanted.remove(push.get("cv"));
        } else if (op.equals("bye")) {
            throw parting((int) Unidesk.number(push, "code"), push);
        }
        return !op.equals("ok") && !op.equals("ping");
    }

    private void note(String cv, long seq, boolean goesOn) {
        seen.remove(cv);
        seen.put(cv, goesOn ? seq : -seq);
        if (!goesOn) wanted.remove(cv);
        if (seen.size() > CURSORS_MAX) seen.remove(seen.keySet().iterator().next());
    }

    private static Unidesk.UnideskException parting(int code, Map<String, Object> bye) {
        String reason = Objects.toString(bye.get("reason"));
        if (bye.get("resume") != Boolean.TRUE)
            return new Unidesk.Refused(Unidesk.FINAL.getOrDefault(code, "" + code), reason, bye);
        Map<String, Object> retry = Unidesk.with(Map.of("min_ms", 0, "max_ms", 0));
        retry.putAll(Unidesk.map(bye.get("retry")));
        long least = Unidesk.number(retry, "min_ms"), most = Math.max(least, Unidesk.number(retry, "max_ms"));
        long waitMs = ThreadLocalRandom.current().nextLong(least, most + 1);
        return new Unidesk.Unavailable("bye", reason, bye, Math.min(Unidesk.RETRY_MS_MAX, waitMs));
    }

    /** Gathers what a WebSocket says; more is asked of it when some was taken. */
    private static final class Inbox implements WebSocket.Listener {
        private final Queue<Object> inbox;
        private final StringBuilder text = new StringBuilder();

        Inbox(Queue<Object> inbox) { this.inbox = inbox; }

        @Override public void onOpen(WebSocket from) { from.request(PUSHES_WAITING_MAX); }

        @Override public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
            if (text.append(part).length() > CHARACTERS_MAX) inbox.add(Unidesk.lost("a push that is too long"));
            else if (last) inbox.add(text.toString());
            else from.request(1);
            if (last) text.setLength(0);
            return null;
        }

        @Override public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            inbox.add(parting(code, Map.of("reason", reason, "resume", code < 4100 || code >= 4200)));
            return null;
        }

        @Override public void onError(WebSocket from, Throwable error) { inbox.add(Unidesk.lost(error.toString())); }
    }
}
