import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What the tests have the Java client do.  Talks to nodes; a line of JSON for each thing it saw.
 * The scenarios are those of driver.py.
 */
public final class Driver {
    private static final List<String> URLS = List.of(System.getenv("URLS").split(","));
    private static final String TOKEN = System.getenv("TOKEN");
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Driver() {}

    private static void tell(Object... pairs) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (int n = 0; n < pairs.length; n += 2) fields.put((String) pairs[n], pairs[n + 1]);
        OUT.println(Unidesk.Json.write(fields));
    }

    private static Object body(Map<String, Object> event) {
        return event.get("data") instanceof Map ? ((Map<?, ?>) event.get("data")).get("body") : null;
    }

    private static void note(Map<String, Object> event) {
        if (event.get("op").equals("welcome")) tell("node", event.get("node"));
        if (event.get("op").equals("gap")) tell("gap", event);
        if (event.get("op").equals("ev"))
            tell("cv", event.get("cv"), "seq", event.get("seq"), "type", event.get("type"), "body", body(event));
    }

    private static boolean is(Map<String, Object> event, String type) {
        return event.get("op").equals("ev") && event.get("type").equals(type);
    }

    private static boolean isSaidBy(Map<String, Object> event, String role) {
        return is(event, "msg") && ((List<?>) event.get("by")).get(0).equals(role);
    }

    private static void visitor(Unidesk desk, int count) {
        String cv = "";
        int said = 1;
        try (UnideskEvents events = desk.events(List.of(), "")) {
            for (Map<String, Object> event : events) {
                note(event);
                if (cv.isEmpty()) {
                    cv = (String) desk.open(Map.of("text", "1", "key", "open")).get("cv");
                } else if (isSaidBy(event, "agent") && said == count) {
                    desk.close(cv, Map.of("key", "close"));
                } else if (isSaidBy(event, "agent")) {
                    said++;
                    desk.send(cv, String.valueOf(said), Map.of("key", "m" + said));
                    tell("said", said);
                } else if (is(event, "closed")) {
                    return;
                }
            }
        }
    }

    private static void agent(Unidesk desk) {
        Map<Object, Object> fences = new HashMap<>();
        try (UnideskEvents events = desk.events(List.of(), "")) {
            for (Map<String, Object> event : events) {
                note(event);
                if (event.get("op").equals("welcome")) {
                    desk.call("status.set", Map.of("status", "online"));
                } else if (event.get("op").equals("offer")) {
                    Object oid = event.get("oid");
                    Map<String, Object> reply = desk.call("offer.accept", Map.of("oid", oid, "key", oid));
                    fences.put(reply.get("cv"), reply.get("fence"));
                } else if (isSaidBy(event, "visitor")) {
                    String cv = (String) event.get("cv");
                    String key = cv + "." + event.get("seq");
                    desk.send(cv, "re " + body(event), Map.of("key", key, "fence", fences.get(cv)));
                } else if (is(event, "closed")) {
                    return;
                }
            }
        }
    }

    private static void errors(Unidesk desk) {
        String cv = (String) desk.open(Map.of("text", "one")).get("cv");
        String closed = (String) desk.open(Map.of()).get("cv");
        desk.close(closed, Map.of());
        desk.send(cv, "same", Map.of("key", "k"));
        Unidesk nowhere = new Unidesk(List.of("http://127.0.0.1:1"), () -> TOKEN, Duration.ofMillis(500));
        Unidesk stranger = new Unidesk(URLS, () -> "nonsense");
        Map<String, Runnable> cases = new LinkedHashMap<>();
        cases.put("bad token", () -> stranger.open(Map.of()));
        cases.put("bad token of a stream", () -> stranger.events(List.of(), "").next(Duration.ofSeconds(9)));
        cases.put("forbidden", () -> desk.call("members.get", Map.of()));
        cases.put("unknown op", () -> desk.call("cv.fly", Map.of()));
        cases.put("not found", () -> desk.history("01J00000000000000000000000", 0));
        cases.put("closed", () -> desk.send(closed, "too late", Map.of()));
        cases.put("same key, other body", () -> desk.send(cv, "other", Map.of("key", "k")));
        cases.put("bad request", () -> desk.call("msg.send", Map.of("cv", cv)));
        cases.put("too large", () -> desk.send(cv, "x".repeat(20_000), Map.of()));
        cases.put("nobody there", () -> nowhere.open(Map.of("key", "k2")));
        cases.forEach((name, ask) -> {
            try {
                ask.run();
            } catch (Unidesk.UnideskException no) {
                String kind = no instanceof Unidesk.Refused ? "Refused" : "Unavailable";
                String key = Objects.toString(no.data.get("key"), "");
                tell("case", name, "kind", kind, "code", no.code, "retry", no.retry, "key", key);
            }
        });
        Object dup = desk.send(cv, "same", Map.of("key", "k")).get("dup");
        desk.close(cv, Map.of());
        tell("case", "same key, same body", "kind", "", "code", "", "retry", dup, "key", "");
    }

    private static void say(String key) {
        Unidesk desk = new Unidesk(URLS, () -> TOKEN, Duration.ofSeconds(10));
        try {
            Map<String, Object> reply = desk.open(Map.of("text", "once", "key", key));
            tell("cv", reply.get("cv"), "dup", reply.getOrDefault("dup", false));
        } catch (Unidesk.Unavailable no) {
            tell("code", no.code, "key", no.data.get("key"));
        }
    }

    private static void listen(double forS) {
        Deque<String> tokens = new ArrayDeque<>(List.of(TOKEN.split(",")));
        Unidesk desk = new Unidesk(URLS, () -> tokens.size() > 1 ? tokens.remove() : tokens.element());
        String place = Objects.toString(System.getenv("PLACE"), "");
        long over = System.nanoTime() + (long) (1e9 * forS);
        try (UnideskEvents events = desk.events(List.of(), place)) {
            for (long left; (left = over - System.nanoTime()) > 0; ) {
                Map<String, Object> event = events.next(Duration.ofNanos(left));
                if (event != null) note(event);
            }
            tell("place", events.place());
        }
    }

    /** Plays the scenario that the first argument names. */
    public static void main(String[] words) {
        Unidesk desk = new Unidesk(URLS, () -> TOKEN);
        if (words[0].equals("visitor")) visitor(desk, Integer.parseInt(words[1]));
        if (words[0].equals("agent")) agent(desk);
        if (words[0].equals("errors")) errors(desk);
        if (words[0].equals("say")) say(words[1]);
        if (words[0].equals("listen")) listen(Double.parseDouble(words[1]));
    }
}
