# Validates access tokens with ruby-jwt: validate.rb ISSUER KEY_SET_URL
#
# Each line {"token": ...} is answered with {"accepted": claims} or {"refused": reason}.

# recipe begins
require "json"
require "jwt"
require "net/http"

# The published keys, kept for five minutes. An unknown kid asks for them anew, every 30 seconds at most.
class KeySet
  def initialize(url)
    @url = URI(url)
    @keys = { keys: [] }
    @asked = -Float::INFINITY
    @mutex = Mutex.new
  end

  # ruby-jwt calls this for the keys, and again when the kid is not among them.
  def call(options)
    @mutex.synchronize do
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      if now - @asked > 300 || (now - @asked > 30 && options[:kid_not_found])
        @asked = now
        @keys = fetch
      end
      @keys
    end
  end

  private

  def fetch
    secure = @url.scheme == "https"
    Net::HTTP.start(@url.host, @url.port, use_ssl: secure, open_timeout: 5, read_timeout: 5) do |http|
      answer = http.get(@url.request_uri)
      answer.value # raises unless it is a success
      JSON.parse(answer.body, symbolize_names: true)
    end
  end
end

def validate(token, keys, issuer)
  claims, = JWT.decode(
    token, nil, true,
    algorithms: ["RS256"], jwks: keys, iss: issuer, verify_iss: true, required_claims: %w[exp iss sub]
  )
  claims
rescue NoMethodError, TypeError => e
  raise JWT::DecodeError, e.message # of a header or claims that are no objects
end
# recipe ends

issuer, url = ARGV
keys = KeySet.new(url)
$stdout.sync = true
$stdin.each_line do |line|
  answer =
    begin
      { accepted: validate(JSON.parse(line)["token"], keys, issuer) }
    rescue JWT::DecodeError => e
      { refused: e.message }
    end
  puts JSON.generate(answer)
end
