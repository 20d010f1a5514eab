import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import java.util.regex.*;
import java.util.stream.*;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

/**
 * unidesk for Java 11 and newer: operations over HTTP, events over WebSocket.  Talks to nodes.
 *
 * <pre>{@code
 * Unidesk desk = new Unidesk(List.of("https://desk1.acme.example", "https://desk2.acme.example"), () -> token);
 * String cv = (String) desk.open(Map.of("text", "Where is my parcel?")).get("cv");
 * try (Unidesk.Events events = desk.events(List.of(), "")) {
 *     for (Map<String, Object> event : events) { // its name is "op": ev, gap, caught, offer, welcome ...
 *         if (event.get("op").equals("ev")) System.out.println(event.get("seq") + " " + event.get("type"));
 *     }
 * }
 * }</pre>
 *
 * An operation is asked again, with the same key, at the next node until it is answered or its deadline is over.
 * Events come once and in order, whichever node tells them; what is kept no more is a {@code gap}.  Threads may share
 * a {@code Unidesk}; an {@code Events} belongs to one, and any may close it.  JSON is Map, List, String, Long, Double,
 * Boolean and null; times in {@code Ms} are a monotonic clock's.  Source: docs/reference/protocol.md.  Apache-2.0.
 */
@SuppressWarnings({"serial", "unchecked"})
public final class Unidesk {
    private static final long CONNECT_MS = 3_000, ATTEMPT_MS = 10_000; // ... and for one answer, or a welcome
    private static final long RETRY_MS_MIN = 250, RETRY_MS_MAX = 10_000; // of the doubling wait; a random part counts
    private static final long STABLE_MS = 1_000; // who lived for less does not make the next wait short again
    private static final double PINGS_MISSED_MAX = 2.5;
    private static final int NODES_MAX = 64, ASKED_MAX = 64, CURSORS_MAX = 10_000, RESUMED_MAX = 400;
    private static final int CHARACTERS_MAX = 4 << 20, PUSHES_WAITING_MAX = 64, DEPTH_MAX = 256;
    private static final Pattern NODE = Pattern.compile("(?:ws|http)(s?)(://[^/?#\\s]+(?:/[^?#\\s]+?)??)(?:/v1/ws)?/?");
    private static final Map<Object, String> FINAL = Map.of(400, "bad_request", 401, "unauthorized", 403, "forbidden",
            413, "too_large", 4102L, "unauthorized", 4103L, "unauthorized", 4104L, "forbidden");

    /** Something was not done: a code of the protocol, a message in words, data beside it. */
    public abstract static class UnideskException extends RuntimeException {
        public final String code;
        public final boolean retry = this instanceof Unavailable; // may the same request, with the same key, succeed?
        public final transient Map<String, Object> data;

        UnideskException(String code, String message, Map<String, Object> data) {
            super(message);
            this.code = code;
            this.data = data;
        }
    }

    /** The cluster said no, until somebody acts; a stream's code may be a close code. */
    public static final class Refused extends UnideskException {
        Refused(String code, String message, Map<String, Object> data) { super(code, message, data); }
    }

    /** No node did it in time: ask again with {@code data.get("key")}.  Code {@code timeout}: it may have been done. */
    public static final class Unavailable extends UnideskException {
        final long waitMs;

        Unavailable(String code, String message, Map<String, Object> data, long waitMs) {
            super(code, message, data);
            this.waitMs = waitMs;
        }
    }

    private final HttpClient http = HttpClient.newBuilder().connectTimeout(ms(CONNECT_MS)).build();
    private final Supplier<String> tokens;
    private final Duration deadline;
    private volatile List<String> nodes; // the next to ask is first
    private volatile String token = "";

    public Unidesk(List<String> urls, Supplier<String> tokens) { this(urls, tokens, Duration.ofSeconds(30)); }

    /** {@code tokens} is asked again when its last one counts no more; all attempts together have {@code deadline}. */
    public Unidesk(List<String> urls, Supplier<String> tokens, Duration deadline) {
        nodes = urls.stream().map(Unidesk::base).collect(Collectors.toList());
        if (nodes.stream().map(node -> node.split(":")[0]).distinct().count() != 1 || nodes.get(0).isEmpty())
            throw new IllegalArgumentException("urls: all like https://desk1.acme.example, or all http");
        this.tokens = tokens;
        this.deadline = deadline;
    }

    /** Opens a conversation ({@code text, subject, tags ...}): {cv, seq, state}. */
    public Map<String, Object> open(Map<String, ?> fields) { return call("cv.open", fields); }

    /** Says something: {seq, mid, ts}, durable by then; agents add their {@code fence}. */
    public Map<String, Object> send(String cv, Object body, Map<String, ?> fields) {
        return call("msg.send", with(fields, "cv", cv, "body", body));
    }

    /** Events after {@code after}: {events, more, first, last, gap}. */
    public Map<String, Object> history(String cv, long after) {
        return call("cv.history", Map.of("cv", cv, "after", after));
    }

    public Map<String, Object> close(String cv, Map<String, ?> fields) { return call("cv.close", with(fields, "cv", cv)); }

    /** Hands a conversation to {agent: id} or {queue: name}: {seq}. */
    public Map<String, Object> transfer(String cv, Map<String, String> to, Map<String, ?> fields) {
        return call("cv.transfer", with(fields, "cv", cv, "to", to));
    }

    /** Listens to what is one's own and to {@code cvs}, on from {@code place} ("" for the beginning). */
    public Events events(Collection<String> cvs, String place) { return new Events(cvs, place); }

    /** Does any operation; its reply's {@code r}.  A {@code key} in fields makes it one with an earlier try. */
    public Map<String, Object> call(String op, Map<String, ?> fields) {
        Map<String, Object> body = with(fields);
        String key = Objects.toString(body.remove("key"), UUID.randomUUID().toString());
        long over = now() + deadline.toMillis();
        boolean doubt = false, renewed = false;
        for (int failures = 0; ; ) {
            String node = nodes.get(0);
            try {
                return ask(node, op, key, Json.write(body), Math.max(1, Math.min(ATTEMPT_MS, over - now())));
            } catch (Refused no) {
                if (!no.code.equals("unauthorized") || renewed || !(renewed = renew())) throw no;
            } catch (Unavailable no) {
                goOn(no.data.get("nodes"), node);
                doubt |= no.code.equals("timeout");
                long waitMs = Math.max(no.waitMs, jitter(failures++));
                if (now() + waitMs >= over)
                    throw new Unavailable(doubt ? "timeout" : no.code, no.getMessage(), with(no.data, "key", key), 0);
                get(node, new CompletableFuture<>().completeOnTimeout("", waitMs, MILLISECONDS), 2 * waitMs + 1_000);
            }
        }
    }

    private Map<String, Object> ask(String node, String op, String key, String body, long withinMs) {
        if (token.isEmpty()) renew();
        HttpRequest request = HttpRequest.newBuilder(URI.create(node + "/v1/op/" + op.replaceAll("[^\\w.]", "_")))
                .headers("Authorization", "Bearer " + token, "Idempotency-Key", key, "Content-Type", "application/json")
                .timeout(ms(withinMs)).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<String> answer = get(node, http.sendAsync(request, BodyHandlers.ofString()), withinMs);
        int status = answer.statusCode();
        String after = answer.headers().firstValue("Retry-After").orElse(""); // a date would hang on two clocks
        Object said = Json.parse(answer.body());
        if (status == 200 && said instanceof Map) return map(said);
        boolean ours = map(said).get("code") instanceof String; // else: a proxy, a captive portal, half an answer
        String code = ours ? (String) map(said).get("code") : FINAL.getOrDefault(status, "timeout");
        String message = ours ? Objects.toString(map(said).get("msg"), "") : node + " answered " + status;
        boolean retry = ours ? status >= 500 || map(said).get("retry") == Boolean.TRUE : code.equals("timeout");
        if (!retry) throw new Refused(code, message, map(map(said).get("data")));
        throw new Unavailable(code, message, map(map(said).get("data")), after.matches("\\d{1,6}") ? 1_000 * Long.parseLong(after) : 0);
    }

    /** Fetches a token; whether it is another one. */
    private boolean renew() { return !token.equals(token = tokens.get()); }

    /** Takes note of nodes that one told of; when it was {@code lost}, they come first, it last. */
    private void goOn(Object told, String lost) {
        Stream<?> named = told instanceof List ? ((List<?>) told).stream() : Stream.of();
        String scheme = nodes.get(0).split("/")[0]; // what was given to TLS stays there
        Stream<String> safe = named.map(one -> base(map(one).get("url"))).filter(url -> url.startsWith(scheme));
        Stream<String> all = lost.isEmpty() ? Stream.concat(nodes.stream(), safe) : Stream.concat(safe, nodes.stream());
        Stream<String> others = all.filter(node -> !node.equals(lost)).distinct().limit(NODES_MAX - 1);
        nodes = Stream.concat(others, lost.isEmpty() ? Stream.of() : Stream.of(lost)).collect(Collectors.toList());
    }

    /** Pushes, each once and in order, until {@code close}, which logs an agent out. */
    public final class Events implements Iterable<Map<String, Object>>, AutoCloseable {
        private final CompletableFuture<Void> closing = new CompletableFuture<>();
        private final Map<String, Long> seen = new LinkedHashMap<>(); // the last seq of each, the newest last
        private final Set<String> ended = new HashSet<>();
        private final Set<String> wanted;
        private final Queue<Map<String, Object>> pushes = new ArrayDeque<>();
        private List<String> asked;
        private String sid, node;
        private volatile Link link;
        private boolean renewed;
        private int failures;
        private long retryAt = now(), quietAt, quietMs, liveSince;

        private Events(Collection<String> cvs, String place) {
            if (cvs.size() > ASKED_MAX) throw new IllegalArgumentException("cvs: at most " + ASKED_MAX);
            wanted = new LinkedHashSet<>(cvs);
            sid = place.split("\\.")[0];
            for (Matcher had = Pattern.compile("\\.(\\w+):(\\d{1,15})").matcher(place); had.find(); )
                seen.put(had.group(1), Long.valueOf(had.group(2)));
        }

        /** Where this listener is, the last event included: {@code events(cvs, place)} goes on there. */
        public String place() {
            return sid + cursors().map(one -> "." + one.getKey() + ":" + one.getValue()).collect(Collectors.joining());
        }

        private Stream<Map.Entry<String, Long>> cursors() {
            return seen.entrySet().stream().filter(one -> !ended.contains(one.getKey()))
                    .skip(Math.max(0, seen.size() - ended.size() - RESUMED_MAX));
        }

        @Override
        public Iterator<Map<String, Object>> iterator() {
            return Stream.generate(() -> next(ms(Integer.MAX_VALUE))).takeWhile(Objects::nonNull).iterator();
        }

        /** The next push, or null: none within that time, or closed.  Throws {@code Refused}. */
        public Map<String, Object> next(Duration within) {
            for (long by = now() + within.toMillis(); !closing.isDone() && now() < by && !Thread.currentThread().isInterrupted(); ) {
                try {
                    Map<String, Object> push = pushes.isEmpty() ? receive(by) : pushes.remove();
                    if (push != null && take(push, (String) push.get("op"))) return push;
                } catch (Refused no) {
                    leave(3000);
                    if (!no.code.equals("unauthorized") || renewed || !(renewed = renew())) throw no;
                } catch (Unavailable | ClassCastException | NullPointerException | IndexOutOfBoundsException lost) {
                    leave(3000);
                    boolean told = lost instanceof Unavailable; // else a push that makes no sense
                    goOn(told ? ((Unavailable) lost).data.get("nodes") : null, node);
                    failures = liveSince > 0 && now() - liveSince >= STABLE_MS ? 0 : failures + 1;
                    retryAt = now() + Math.max(told ? ((Unavailable) lost).waitMs : 0, jitter(failures));
                }
            }
            if (closing.isDone()) leave(1000);
            return null;
        }

        /** Ends at once, also for a thread that waits. */
        @Override
        public void close() {
            closing.complete(null);
            leave(1000);
        }

        private synchronized void leave(int code) {
            if (link != null) link.leave(code);
            link = null;
            pushes.clear();
        }

        private Map<String, Object> receive(long by) {
            if (link == null) {
                closing.copy().completeOnTimeout(null, Math.max(0, Math.min(retryAt, by) - now()), MILLISECONDS).join();
                if (closing.isDone() || now() < retryAt) return null;
                connect();
            }
            Object item = link.poll(Math.min(quietAt, by) - now());
            if (item instanceof UnideskException) throw (UnideskException) item;
            if (item == null && now() >= quietAt) throw new Unavailable("timeout", node + " fell silent", Map.of(), 0);
            if (item == null) return null;
            quietAt = now() + quietMs;
            Object said = Json.parse((String) item);
            for (Object push : said instanceof List ? (List<?>) said : List.of(said)) pushes.add(map(push));
            return null;
        }

        private void connect() {
            if (token.isEmpty()) renew();
            node = nodes.get(0);
            quietMs = ATTEMPT_MS;
            quietAt = now() + quietMs;
            liveSince = 0;
            asked = wanted.stream().filter(cv -> !place().contains(cv)).collect(Collectors.toList());
            link = new Link(node);
            Object cvs = cursors().map(one -> List.of(one.getKey(), one.getValue())).collect(Collectors.toList());
            Map<String, Object> hello = with(Map.of(), "op", "hello", "ver", "1", "token", token);
            if (!sid.isEmpty()) hello.put("resume", Map.of("sid", sid, "cvs", cvs));
            link.say(hello);
        }

        /** Notes what a push says of a conversation; whether the consumer is to have it. */
        private boolean take(Map<String, Object> push, String op) {
            String cv = (String) push.get("cv");
            long had = seen.getOrDefault(cv, 0L);
            if (op.equals("ev")) {
                long seq = (Long) push.get("seq");
                if (seq > had + 1) throw new Unavailable("timeout", cv + ": " + seq + " after " + had, Map.of(), 0);
                if (seq <= had) return false;
                note(cv, seq, !push.get("type").equals("closed"));
            } else if (op.equals("gap")) {
                long first = (Long) push.get("first"), last = (Long) push.get("last"); // both 0: gone, or not ours to see
                note(cv, last > 0 ? Math.max(Math.min(had, last), first - 1) : had, last > 0);
                return last == 0 || had < first - 1 || had > last;
            } else if (op.equals("welcome")) {
                sid = (String) push.get("sid");
                liveSince = now();
                renewed = false;
                quietMs = (long) (PINGS_MISSED_MAX * Math.max(1_000, (Long) push.get("ping_ms")));
                goOn(push.get("nodes"), "");
                for (int n = 0; n < asked.size(); n++)
                    link.say(Map.of("op", "cv.sub", "id", n + 1, "cv", asked.get(n)));
            } else if (op.equals("token.expiring") && renew()) {
                link.say(Map.of("op", "auth", "id", ASKED_MAX + 1, "token", token));
            } else if (op.equals("ping")) {
                link.say(Map.of("op", "pong"));
            } else if (op.equals("err")) {
                push.put("cv", cv = asked.get((int) (long) (Long) push.get("id") - 1));
                if (push.get("retry") == Boolean.TRUE)
                    throw new Unavailable((String) push.get("code"), (String) push.get("msg"), Map.of(), 0);
                wanted.remove(cv);
            } else if (op.equals("bye")) {
                throw parting((Long) push.get("code"), push);
            }
            return !op.equals("ok") && !op.equals("ping");
        }

        private void note(String cv, long seq, boolean goesOn) {
            seen.remove(cv);
            seen.put(cv, seq);
            if (goesOn ? ended.remove(cv) : ended.add(cv) | wanted.remove(cv)) return;
            if (seen.size() > CURSORS_MAX) ended.remove(seen.keySet().iterator().next());
            if (seen.size() > CURSORS_MAX) seen.remove(seen.keySet().iterator().next());
        }
    }

    /** One WebSocket: what came of it, and was not taken, at most PUSHES_WAITING_MAX. */
    private final class Link implements WebSocket.Listener {
        private final BlockingQueue<Object> inbox = new LinkedBlockingQueue<>();
        private final StringBuilder text = new StringBuilder();
        private final String node;
        private final WebSocket socket;

        Link(String node) {
            this.node = node;
            URI uri = URI.create(node.replaceFirst("http", "ws") + "/v1/ws");
            WebSocket.Builder builder = http.newWebSocketBuilder().subprotocols("unidesk.v1+json");
            socket = get(node, builder.connectTimeout(ms(CONNECT_MS)).buildAsync(uri, this), ATTEMPT_MS);
        }

        @Override
        public void onOpen(WebSocket opened) { opened.request(PUSHES_WAITING_MAX); }

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
            text.append(part);
            if (text.length() > CHARACTERS_MAX) onError(from, new IllegalStateException("too much"));
            else if (!last) from.request(1);
            else inbox.add(text.toString());
            if (last) text.setLength(0);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            inbox.add(parting(code, Map.of("reason", reason, "resume", code < 4100 || code >= 4200)));
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable error) {
            inbox.add(new Unavailable("timeout", node + ": " + error, Map.of(), 0));
        }

        Object poll(long withinMs) {
            try {
                Object item = inbox.poll(Math.max(0, withinMs), MILLISECONDS);
                if (item != null) socket.request(1);
                return item;
            } catch (InterruptedException stop) {
                Thread.currentThread().interrupt();
                throw new Unavailable("timeout", "interrupted", Map.of(), 0);
            }
        }

        void say(Map<String, ?> request) { get(node, socket.sendText(Json.write(request), true), ATTEMPT_MS); }

        void leave(int code) {
            inbox.add("[]"); // whoever waits wakes up
            socket.sendClose(code, "").orTimeout(1, TimeUnit.SECONDS).whenComplete((sent, error) -> socket.abort());
        }
    }

    /** JSON (RFC 8259). */
    private static final class Json {
        private final String text;
        private int at;

        private Json(String text) { this.text = text; }

        /** Maps, lists ...; null also when it is none. */
        static Object parse(String text) {
            try {
                return new Json(text).value(0);
            } catch (IndexOutOfBoundsException | IllegalArgumentException none) {
                return null;
            }
        }

        static String write(Object value) {
            if (value instanceof Map) return ((Map<?, ?>) value).entrySet().stream()
                    .map(one -> write(one.getKey()) + ":" + write(one.getValue())).collect(Collectors.joining(",", "{", "}"));
            if (value instanceof Collection) return ((Collection<?>) value).stream().map(Json::write)
                    .collect(Collectors.joining(",", "[", "]"));
            if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
            return value.toString().chars()
                    .mapToObj(c -> c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", c) : Character.toString(c))
                    .collect(Collectors.joining("", "\"", "\""));
        }

        private char next() {
            while (" \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
            return text.charAt(at);
        }

        private Object value(int depth) {
            char first = next();
            if (depth > DEPTH_MAX) throw new IllegalArgumentException("deeper than " + DEPTH_MAX);
            if (first == '"') return string();
            Map<String, Object> map = new LinkedHashMap<>();
            List<Object> list = new ArrayList<>();
            if (first == '{' || first == '[') {
                for (at++; next() != '}' && next() != ']'; at += next() == ',' ? 1 : 0) {
                    String name = first == '{' ? string() : "";
                    if (first == '{' && next() == ':') at++;
                    if (first == '{') map.put(name, value(depth + 1));
                    else list.add(value(depth + 1));
                }
                at++;
                return first == '{' ? map : list;
            }
            int from = at;
            while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(from, at);
            if (word.equals("true") || word.equals("false")) return Boolean.valueOf(word);
            if (word.equals("null")) return null;
            return word.matches("-?\\d+") ? (Object) Long.valueOf(word) : (Object) Double.valueOf(word);
        }

        private String string() {
            StringBuilder out = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char c = text.charAt(at);
                if (c == '\\') {
                    int known = "bfnrtu".indexOf(c = text.charAt(++at));
                    if (known == 5) c = (char) Integer.parseInt(text.substring(at + 1, (at += 4) + 1), 16);
                    else if (known >= 0) c = "\b\f\n\r\t".charAt(known);
                }
                out.append(c);
            }
            at++;
            return out.toString();
        }
    }

    private static UnideskException parting(long code, Map<String, Object> bye) {
        String reason = Objects.toString(bye.get("reason"));
        if (bye.get("resume") != Boolean.TRUE)
            return new Refused(FINAL.getOrDefault(code, String.valueOf(code)), reason, bye);
        long least = (Long) map(bye.get("retry")).getOrDefault("min_ms", 0L);
        long most = (Long) map(bye.get("retry")).getOrDefault("max_ms", 0L);
        return new Unavailable("bye", reason, bye, ThreadLocalRandom.current().nextLong(least, Math.max(least, most) + 1));
    }

    private static <T> T get(String node, CompletableFuture<T> future, long withinMs) {
        try {
            return future.get(withinMs, MILLISECONDS);
        } catch (ExecutionException | TimeoutException | InterruptedException error) {
            future.cancel(true);
            if (error instanceof InterruptedException) Thread.currentThread().interrupt();
            throw new Unavailable("timeout", node + ": " + error, Map.of(), 0);
        }
    }

    private static Map<String, Object> map(Object value) { return value instanceof Map ? (Map<String, Object>) value : Map.of(); }

    private static Map<String, Object> with(Map<String, ?> fields, Object... more) {
        Map<String, Object> all = new LinkedHashMap<>(fields);
        for (int n = 0; n < more.length; n += 2) all.put((String) more[n], more[n + 1]);
        return all;
    }

    private static String base(Object url) {
        Matcher found = NODE.matcher(String.valueOf(url));
        return found.matches() ? "http" + found.group(1) + found.group(2) : "";
    }

    private static long now() { return System.nanoTime() / 1_000_000; }

    private static Duration ms(long ms) { return Duration.ofMillis(ms); }

    private static long jitter(int failures) {
        return ThreadLocalRandom.current().nextLong(Math.min(RETRY_MS_MAX, RETRY_MS_MIN << Math.min(failures, 16)));
    }
}
