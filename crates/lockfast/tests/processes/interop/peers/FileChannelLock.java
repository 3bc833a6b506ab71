import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** Locks with {@code FileChannel.lock}: a command a line in, an answer a line out. */
final class FileChannelLock {
    public static void main(String[] arguments) throws IOException {
        var channel = FileChannel.open(Path.of(arguments[0]),
                StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
        var commands = new BufferedReader(new InputStreamReader(System.in));
        FileLock held = null;
        for (var line = commands.readLine(); line != null; line = commands.readLine()) {
            var words = Arrays.stream(line.split(" ")).filter(word -> !word.equals("&")).toList();
            var shared = words.get(words.size() - 1).equals("shared");
            switch (words.get(1)) {
                case "try" -> held = channel.tryLock(0, Long.MAX_VALUE, shared);
                case "lock" -> held = channel.lock(0, Long.MAX_VALUE, shared);
                case "release" -> held.release();
                default -> throw new IllegalArgumentException(line);
            }
            System.out.println(words.get(0) + (held == null ? " error held" : " ok"));
        }
    }
}
