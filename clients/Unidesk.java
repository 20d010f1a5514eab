import java.net.URI;
import java.net.http.*;
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
 * try (UnideskEvents events = desk.events(List.of(), "")) {
 *     for (Map<String, Object> event : events) // its name is "op": ev, gap, caught, offer, welcome ...
 *         if (event.get("op").equals("ev")) System.out.println(event.get("seq") + " " + event.get("type"));
 * }
 * }</pre>
 *
 * An operation is asked again, with the same key, at the next node until it is answered or its deadline is over.
 * Events come once and in order, whichever node tells them; what is kept no more is a {@code gap}.  Threads may share
 * a {@code Unidesk}; a {@code UnideskEvents} belongs to one, and any may close it.  JSON is Map, List, String, Long,
 * Double, Boolean and null.  Source: docs/reference/protocol.md.  Apache-2.0.
 */
@SuppressWarnings({"serial", "unchecked"})
public final class Unidesk {
    static final long CONNECT_MS = 3_000, ATTEMPT_MS = 10_000; // ... and for one answer, or a welcome
    static final long RETRY_MS_MIN = 250, RETRY_MS_MAX = 10_000; // of the doubling wait; a random part counts
    static final int NODES_MAX = 64, DEPTH_MAX = 256;
    private static final long LOADED_NS = System.nanoTime();
    private static final Pattern NODE = Pattern.compile("(?:ws|http)(s?)(://[^/?#\\s]+(?:/[^?#\\s]+?)??)(?:/v1/ws)?/?");
    static final Map<Integer, String> FINAL = Map.of(400, "bad_request", 401, "unauthorized", 403, "forbidden",
            413, "too_large", 4102, "unauthorized", 4103, "unauthorized", 4104, "forbidden");

    /** Something was not done: a code of the protocol, a message in words, data beside it. */
    public abstract static class UnideskException extends RuntimeException {
        public final String code;
        public final boolean retry = this instanceof Unavailable; // may the same, with the same key, succeed later?
        public final transient Map<String, Object> data;
        final long waitMs;

        UnideskException(String code, String message, Map<String, Object> data, long waitMs) {
            super(message);
            this.code = code;
            this.data = data;
            this.waitMs = waitMs;
        }
    }

    /** The cluster said no, until somebody acts; a stream's code may be a close code. */
    public static final class Refused extends UnideskException {
        Refused(String code, String message, Map<String, Object> data) { super(code, message, data, 0); }
    }

    /** No node did it in time: ask again with {@code data.get("key")}.  Code {@code timeout}: it may have been done. */
    public static final class Unavailable extends UnideskException {
        Unavailable(String code, String message, Map<String, Object> data, long ms) { super(code, message, data, ms); }
    }

    final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofMillis(CONNECT_MS)).build();
    private final Supplier<String> tokens;
    private final Duration deadline;
    volatile List<String> nodes; // the next to ask is first
    volatile String token = "";

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

    public Map<String, Object> close(String cv, Map<String, ?> fields) {
        return call("cv.close", with(fields, "cv", cv));
    }

    /** Hands a conversation to {agent: id} or {queue: name}: {seq}. */
    public Map<String, Object> transfer(String cv, Map<String, String> to, Map<String, ?> fields) {
        return call("cv.transfer", with(fields, "cv", cv, "to", to));
    }

    /** Listens to what is one's own and to {@code cvs}, on from {@code place} ("" for the beginning). */
    public UnideskEvents events(Collection<String> cvs, String place) { return new UnideskEvents(this, cvs, place); }

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
                get(node, new CompletableFuture<>().completeOnTimeout("", waitMs, MILLISECONDS), ATTEMPT_MS + waitMs);
            }
        }
    }

    private Map<String, Object> ask(String node, String op, String key, String body, long withinMs) {
        if (token.isEmpty()) renew();
        HttpRequest request = HttpRequest.newBuilder(URI.create(node + "/v1/op/" + op.replaceAll("[^\\w.]", "_")))
                .headers("Authorization", "Bearer " + token, "Idempotency-Key", key, "Content-Type", "application/json")
                .timeout(Duration.ofMillis(withinMs)).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        Future<HttpResponse<String>> asked = http.sendAsync(request, HttpResponse.BodyHandlers.ofString());
        HttpResponse<String> answer = get(node, asked, withinMs);
        int status = answer.statusCode();
        Object read = Json.parse(answer.body());
        Map<String, Object> said = map(read);
        if (status == 200 && read instanceof Map) return said;
        boolean ours = said.get("code") instanceof String; // else: a proxy, a captive portal, half an answer
        String code = ours ? (String) said.get("code") : FINAL.getOrDefault(status, "timeout");
        String message = ours ? Objects.toString(said.get("msg")) : node + " answered " + status;
        boolean retry = ours ? status >= 500 || said.get("retry") == Boolean.TRUE : code.equals("timeout");
        String after = answer.headers().firstValue("Retry-After").orElse(""); // a date would hang on two clocks
        long waitMs = after.matches("\\d{1,6}") ? 1_000 * Long.parseLong(after) : 0;
        Map<String, Object> data = map(said.get("data"));
        throw retry ? new Unavailable(code, message, data, waitMs) : new Refused(code, message, data);
    }

    /** Fetches a token; whether it is another one. */
    boolean renew() { return !token.equals(token = tokens.get()); }

    /** Takes note of nodes that one told of; when it was {@code lost}, they come first, it last. */
    void goOn(Object told, String lost) {
        Stream<?> named = told instanceof List ? ((List<?>) told).stream() : Stream.of();
        String scheme = nodes.get(0).split("/")[0]; // what was given to TLS stays there
        Stream<String> safe = named.map(one -> base(map(one).get("url"))).filter(url -> url.startsWith(scheme));
        Stream<String> all = lost.isEmpty() ? Stream.concat(nodes.stream(), safe) : Stream.concat(safe, nodes.stream());
        Stream<String> others = all.filter(node -> !node.equals(lost)).distinct().limit(NODES_MAX - 1);
        nodes = Stream.concat(others, lost.isEmpty() ? Stream.of() : Stream.of(lost)).collect(Collectors.toList());
    }

    static Unavailable lost(String why) { return new Unavailable("timeout", why, Map.of(), 0); }

    static <T> T get(String node, Future<T> future, long withinMs) {
        try {
            return future.get(withinMs, MILLISECONDS);
        } catch (ExecutionException | TimeoutException | InterruptedException error) {
            future.cancel(true);
            if (error instanceof InterruptedException) Thread.currentThread().interrupt();
            throw lost(node + ": " + error);
        }
    }

    static Map<String, Object> map(Object value) {
        return value instanceof Map ? (Map<String, Object>) value : new LinkedHashMap<>();
    }

    static Map<String, Object> with(Map<String, ?> fields, Object... more) {
        Map<String, Object> all = new LinkedHashMap<>(fields);
        for (int n = 0; n < more.length; n += 2) all.put((String) more[n], more[n + 1]);
        return all;
    }

    static long number(Map<String, Object> push, String field) { return ((Number) push.get(field)).longValue(); }

    private static String base(Object url) {
        Matcher found = NODE.matcher(String.valueOf(url));
        return found.matches() ? "http" + found.group(1) + found.group(2) : "";
    }

    /** Milliseconds since this class was loaded, never 0: what has not happened yet is at 0. */
    static long now() { return 1 + (System.nanoTime() - LOADED_NS) / 1_000_000; }

    static long jitter(int failures) {
        return ThreadLocalRandom.current().nextLong(Math.min(RETRY_MS_MAX, RETRY_MS_MIN << Math.min(failures, 16)));
    }

    /** JSON (RFC 8259). */
    static final class Json {
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
                    .map(one -> write(one.getKey()) + ":" + write(one.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
            if (value instanceof Collection) return ((Collection<?>) value).stream().map(Json::write)
                    .collect(Collectors.joining(",", "[", "]"));
            if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
            return value.toString().chars()
                    .mapToObj(c -> c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", c) : "" + (char) c)
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
}
