# Stage 4: the cookie contains a random token; a session store keeps everything else.

require 'digest'
require 'securerandom'
require 'sinatra'
require_relative 'common'

# region limits
IDLE_SECONDS = 10
MAX_AGE_SECONDS = 8 * 60 * 60
# endregion limits

# Sessions in Redis. Every visit refreshes the TTL.
class SessionStore
  def initialize(pool)
    @pool = pool
  end

  # region create
  def create(username)
    token = SecureRandom.urlsafe_base64(32)
    key = key(token)
    transaction do |redis|
      redis.hset(key, 'username', username, 'created', Time.now.to_i)
      redis.expire(key, IDLE_SECONDS)
    end
    token
  end

  def key(token)
    "sessiontut:session:#{Digest::SHA256.hexdigest(token)}"
  end

  # Sends the block's commands as one transaction. Returns the replies.
  def transaction(&commands)
    @pool.with { |redis| redis.multi(&commands) }
  end
  # endregion create

  # region visit
  def visit(token)
    key = key(token)
    *, session = transaction do |redis|
      redis.hincrby(key, 'visits', 1)
      redis.expire(key, IDLE_SECONDS)
      redis.hgetall(key)
    end
    return session if session.key?('username') && !too_old?(session)

    # No valid session: delete the key. HINCRBY may have created it.
    @pool.with { |redis| redis.del(key) }
    nil
  end

  def too_old?(session)
    Time.now.to_i - session['created'].to_i > MAX_AGE_SECONDS
  end
  # endregion visit

  # region end
  def end(token)
    @pool.with { |redis| redis.del(key(token)) }
  end
  # endregion end
end

# region index
STORE = SessionStore.new(connect)

get '/' do
  token = request.cookies['session']
  session = STORE.visit(token) if token
  return page('You are not logged in') unless session

  name, visits = session.values_at('username', 'visits')
  page("Logged in as #{escape_html(name)}<br>Visits: #{visits}")
end
# endregion index

get '/login' do
  FORM
end

# region login
post '/login' do
  name = posted_name
  old = request.cookies['session']
  STORE.end(old) if old
  response.set_cookie('session', COOKIE.merge(value: STORE.create(name)))
  redirect '/', 303
end

get '/logout' do
  token = request.cookies['session']
  STORE.end(token) if token
  response.delete_cookie('session', COOKIE)
  redirect '/', 303
end
# endregion login
