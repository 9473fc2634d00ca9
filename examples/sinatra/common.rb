# Code that all stages share: settings, the page, and validation of the login form.

require 'base64'
require 'openssl'
require 'sinatra'

FORM = <<~HTML
  <!doctype html>
  <title>Login</title>
  <form method="post">
    <label>User name <input name="username" maxlength="64" required autofocus></label>
    <button>Login</button>
  </form>
HTML

# region settings
SECRET_KEY = ENV.fetch('SECRET_KEY')

set :bind, ENV.fetch('HOST', '127.0.0.1')
set :port, ENV.fetch('PORT', '5000')
set :server, 'puma'
set :server_settings, Threads: '16:16'
# Sinatra's page for developers must not replace the error handler.
set :show_exceptions, :after_handler
disable :absolute_redirects
# endregion settings

# region connect
require 'connection_pool'
require 'redis'

# The server runs 16 threads. Each thread that waits for a reply needs its
# own connection.
def connect
  ConnectionPool.new(size: 16, timeout: 1) do
    Redis.new(
      url: ENV.fetch('REDIS_URL'),
      timeout: 1, # to connect, and for each reply
      # Never retry: if a reply is lost, the command may have been executed,
      # and a retry would count the visit twice. The default is one retry.
      reconnect_attempts: 0
    )
  end
end
# endregion connect

# region unavailable
error Redis::BaseError, ConnectionPool::TimeoutError do
  status 503
  headers 'Retry-After' => '2'
  page('Redis is unavailable. Please try again.')
end
# endregion unavailable

# region helpers
COOKIE = { httponly: true, same_site: :lax, path: '/' }.freeze

def page(body)
  "<!doctype html>\n<title>Sessions</title>\n<p>#{body}</p>\n"
end

def sign(name)
  encoded = Base64.urlsafe_encode64(name)
  "#{encoded}.#{OpenSSL::HMAC.hexdigest('SHA256', SECRET_KEY, encoded)}"
end

# Returns the name in a signed cookie, or nil if the signature is invalid.
def signed_name(cookie)
  name = Base64.urlsafe_decode64(cookie.to_s.split('.').first.to_s)
  return unless Rack::Utils.secure_compare(sign(name), cookie.to_s)

  name.force_encoding('UTF-8')
rescue ArgumentError
  nil # not base64
end
# endregion helpers

# Returns the form's user name. Stops with 403 for a form from another site, and with 422 for an invalid name.
def posted_name
  halt 403 unless ['same-origin', 'none'].include?(env.fetch('HTTP_SEC_FETCH_SITE', 'none'))
  name = params['username'].to_s.strip
  halt 422, FORM unless name.valid_encoding? && (1..64).cover?(name.length) && !name.match?(/\p{Cc}/)
  name
end
